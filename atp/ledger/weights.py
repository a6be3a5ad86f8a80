"""What a command costs the script: by it a call is kept short."""

from atp.domain.commands import (
    CHANGES,
    Affect,
    Command,
    Decide,
    FollowHome,
    Include,
    Level,
    Recall,
    Recheck,
    Repair,
    Reserve,
    TakeLeg,
    TellOrder,
)


def weight(command: Command) -> float:
    """In lines of a basket: what a command costs the script."""
    match command:
        case Reserve() | Decide() | FollowHome():
            return len(command.lines)
        case Level():
            return 0.5 + len(command.includes)  # it moves one number, and mostly asks for nothing else
        case _ if isinstance(command, CHANGES):
            return 1
        case Recall():
            return 0.25
        case TellOrder():
            return 1 + len(command.lines)
        case TakeLeg():
            return len(command.reserve.lines)
        case Affect() | Include():
            return 1 + len(command.ids)
        case Recheck():
            return len(command.skus)
        case Repair():
            return len(command.corrections)
        case _:
            return 1
