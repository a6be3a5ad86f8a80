"""``atp version``."""

import json
import platform

from atp import __version__


def version(*, json_: bool = False) -> int:
    """Print the version.

    Example: atp version --json

    Parameters
    ----------
    json_
        Print as JSON, with Python's version.
    """
    print(json.dumps({"atp": __version__, "python": platform.python_version()}) if json_ else __version__)
    return 0
