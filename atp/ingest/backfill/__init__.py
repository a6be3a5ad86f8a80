"""Files into the stock stream: a saved webhook, an export of a million positions, a full snapshot.

``Backfill`` reads a file once (a snapshot twice), in bounded memory, through a mapping, and publishes as any other
source does. A record that cannot be used is set aside with its line and the reason; the rest goes on.
"""

from atp.ingest.backfill.progress import CannotResume
from atp.ingest.backfill.records import Format
from atp.ingest.backfill.run import Backfill, Job, Totals, Unusable

__all__ = ["Backfill", "CannotResume", "Format", "Job", "Totals", "Unusable"]
