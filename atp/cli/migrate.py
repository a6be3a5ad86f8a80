"""``atp migrate``: bring the journal's schema to this release."""

import json

from atp import config as settings
from atp.cli.output import run_once


def migrate(*, service_role: str = "", json_: bool = False) -> int:
    """Apply the schema changes that the database does not have yet; runs beside running services.

    Needs ATP_DATABASE_URL, of the tables' owner, and that the database exists. ATP_JOURNAL_DAYS and ATP_JOURNAL_OLD say
    how long entries stay.

    Example: atp migrate --service-role atp_service

    Parameters
    ----------
    service_role
        Also give this role what the service needs: to append to the history, and neither to change nor to delete it.
    json_
        Print the applied versions as JSON.
    """
    config = settings.load()
    config.require("database_url")
    return run_once(config, _migrate(config, service_role, json_))


async def _migrate(config: settings.Config, role: str, as_json: bool) -> None:
    from atp import journal

    applied = await journal.migrate(config.database_url)
    if not as_json:  # before what may fail: they are applied
        print("\n".join(f"applied {version}" for version in applied) or "nothing to apply")
    await journal.administer(
        config.database_url, keep_days=config.journal_days, drop_old=config.journal_old == "drop", service_role=role
    )
    if as_json:
        print(json.dumps({"applied": applied}))
    elif role:
        print(f"{role} may do what the service does")
