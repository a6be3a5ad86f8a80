"""Replaying: the sale of an earlier campaign as visits, read from the journal's history.

The journal has what was granted and not who was refused, so a replay is the sale as it could be served, not the rush.
"""

import asyncio
from itertools import batched

from atp.domain.entries import Committed, Released
from atp.domain.records import Reservation
from atp.domain.rules.policies import Campaign
from atp.journal import Journal
from atp.journal.history import Asked, Place
from atp.rehearsal.errors import RehearsalRefused
from atp.rehearsal.settings import BUYERS_MAX, WINDOW_MAX
from atp.rehearsal.visits import Then, Visit, Wanted

_PAGE = 500
#: Reservations asked about at once: as many as the journal has connections.
_AT_ONCE = 4


async def replayed(journal: Journal, name: str, campaign: Campaign) -> list[Visit]:
    """Every reservation of the campaign as a visit, the first at second 0. Raises RehearsalRefused, JournalError."""
    found = await _sales(journal, name, campaign)
    if not found:
        raise RehearsalRefused(f"the journal has no reservation of the campaign {name}")
    begin = min(record.created_at for record in found)
    visits: list[Visit] = []
    for some in batched(found, _AT_ONCE):
        visits += await asyncio.gather(*(_visit(journal, record, begin) for record in some))
    return sorted((visit for visit in visits if visit.at <= WINDOW_MAX), key=lambda visit: visit.at)


async def _sales(journal: Journal, name: str, campaign: Campaign) -> list[Reservation]:
    """What was reserved of the campaign's skus, each once."""
    found: dict[tuple[str, int], Reservation] = {}
    for sku in campaign.skus:
        after: Place | None = None
        while page := await journal.search(Asked(sku=sku), after, _PAGE):
            found |= {(r.record.id, r.record.first_seq): r.record for r in page if r.record.campaign == name}
            if len(found) > BUYERS_MAX:
                raise RehearsalRefused(f"the campaign {name} has more than {BUYERS_MAX:,} reservations")
            after = page[-1].place
    return list(found.values())


async def _visit(journal: Journal, record: Reservation, begin: int) -> Visit:
    """With how it ended, and when; partly confirmed is confirmed."""
    then: Then = "leave"
    ended = record.created_at
    for entry in await journal.history(record.id):
        if isinstance(entry, Committed | Released) and entry.reservation.first_seq == record.first_seq:
            then, ended = ("confirm" if isinstance(entry, Committed) else "release"), entry.at
            break
    lines = [Wanted(line.sku, line.requested) for line in record.lines]
    return Visit((record.created_at - begin) / 1_000, lines, record.customer, then, (ended - record.created_at) / 1_000)
