"""What bounds a batcher and its reader."""

from msgspec import Struct


class Limits(Struct, frozen=True):
    """Bounds of one partition's batcher and reader; times in seconds."""

    commands_max: int = 512  # commands in one call
    script_us: int = 2_500  # what the script of one call should take: its p99 stays below twice that (atp bench ledger)
    lines_max: int = 256  # lines in one call, whatever they would take
    queue_max: int = 8_192  # commands waiting; beyond it the caller is told at once
    batch_timeout_s: float = 0.5  # silence after which a call's fate counts as unknown
    command_deadline_s: float = 1.0  # how long one command may take in all
    read_us: int = 2_000  # behind which a call of readings answers no more of them: others wait while it runs
    read_timeout_s: float = 1.0  # silence after which a reading fails; it may simply be asked again
    reconnect_s: float = 0.05  # pause between attempts to reach a server that is away
    settle_max: int = 256  # due holds settled by one batch (R21)
    outbox_max: int = 2_000_000  # unjournaled entries at which nothing is accepted (R19)
