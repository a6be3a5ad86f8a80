"""``atp migrate``: bring the journal's schema to this release."""

import json

from atp import config as settings
from atp.cli.output import run_once


def migrate(*, json_: bool = False) -> int:
    """Apply the schema changes that the database does not have yet; runs beside running services.

    Needs ATP_DATABASE_URL, and that the database exists.

    Example: atp migrate

    Parameters
    ----------
    json_
        Print the applied versions as JSON.
    """
    config = settings.load()
    config.require("database_url")
    return run_once(_migrate(config, json_))


async def _migrate(config: settings.Config, as_json: bool) -> None:
    from atp import journal

    applied = await journal.migrate(config.database_url)
    if as_json:
        print(json.dumps({"applied": applied}))
    elif applied:
        print("\n".join(f"applied {version}" for version in applied))
    else:
        print("nothing to apply")
