"""Failures as people should read them: what we raise ourselves explains itself, without a traceback."""

import sys

FAILED = 1
USAGE = 2


def explain(error: BaseException) -> int | None:
    """Print the message of a failure of ours and give its exit code; None for one that is not."""
    code = _code(error)
    if code is not None:
        print(f"atp: {error}", file=sys.stderr)
    return code


def _code(error: BaseException) -> int | None:
    # A module that was never loaded cannot have raised anything, so nothing needs to be loaded to find out.
    for module, name, code in (
        ("atp.config", "ConfigError", USAGE),
        ("atp.cli.errors", "Misused", USAGE),
        ("atp.cli.errors", "Refused", FAILED),
        ("atp.dev.errors", "DevError", FAILED),
        ("atp.api", "PortTaken", FAILED),
        ("atp.ledger.errors", "LedgerError", FAILED),
        ("atp.journal.errors", "JournalError", FAILED),
        ("atp.ingest", "StreamUnfit", FAILED),
        ("atp.outbox", "StreamUnfit", FAILED),
        ("atp.ingest.backfill", "Unusable", FAILED),
        ("atp.ingest.backfill", "CannotResume", FAILED),
        ("atp.check", "Busy", FAILED),
        ("atp.bench.budgets", "BadBudgets", USAGE),
        ("atp.bench.docs", "NoMarkers", USAGE),
        ("atp.bench.history", "BadHistory", USAGE),
        ("atp.pages", "NoPlots", USAGE),
        ("atp.pages", "Unwritable", USAGE),
        ("atp.bench.peers", "Unknown", USAGE),
        ("atp.bench.overload", "NoCheckout", USAGE),
        ("atp.bench.load", "GeneratorFailed", FAILED),
        ("atp.bench.hosting", "NotServing", FAILED),
        ("atp.bench.shapes", "Unseeded", FAILED),
        ("atp.check", "CheckFailed", FAILED),
        ("atp.mapping", "MappingError", USAGE),
        ("atp.rehearsal.errors", "RehearsalRefused", FAILED),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    return None


class Misused(Exception):
    """Options that do not go together, or a value that is none; the text says how it is meant."""


class Refused(Exception):
    """A command cannot do what was asked; the text says why."""
