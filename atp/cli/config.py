"""``atp config show``."""

import msgspec

from atp import config as settings
from atp.cli.output import note


def show(*, json_: bool = False) -> int:
    """Print every setting with its value and where it came from; passwords and tokens are masked.

    Example: atp config show --json

    Parameters
    ----------
    json_
        Print as JSON.
    """
    shown = settings.describe()
    for name in settings.unknown():
        note(f"atp: {name} is no setting of this release; misspelt?")
    if json_:
        print(msgspec.json.encode(shown).decode())
        return 0
    width = max(len(setting.name) for setting in shown)
    for setting in shown:
        print(f"{setting.name:<{width}}  {setting.value or '(not set)'}  [{setting.source}]  {setting.help}")
    return 0
