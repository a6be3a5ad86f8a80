"""Accepting a loss: a person says that the service may sell although acknowledged changes are gone (R2)."""

from atp.domain.commands import Resolve
from atp.domain.exceptions import Kind
from atp.ledger import Ledger
from atp.ledger.restoring import Restoring


async def accept(ledger: Ledger, client: str, reason: str) -> list[int]:
    """End the open losses; the partitions that had one. Partitions still to be made anew have none yet.

    Raises LedgerError.
    """
    accepted: list[int] = []
    for partition in sorted(set(range(ledger.partitions)) - set(ledger.recovering)):
        steps = Restoring(ledger.settings.url, ledger.settings.namespace, partition)
        try:
            seq = await steps.loss()
        finally:
            await steps.close()
        if seq:
            command = Resolve(Kind.LOSS, "", "", "", "", seq, "accept", reason, client)
            if (await ledger.submit_to(partition, command)).outcome.accepted:
                accepted.append(partition)
    return accepted
