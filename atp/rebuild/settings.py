"""The room's limits, with their units."""

from msgspec import Struct


class Settings(Struct, frozen=True):
    """How a lost ledger is noticed and made anew."""

    accept_loss: bool = False  # ATP_ON_LOSS=open: sell at once, even where acknowledged changes are gone
    stream: str = "ATP"  # whose last event is a witness
    watch_s: float = 0.25  # between two looks whether the ledger is the known one
    journal_every_s: float = 2.0  # between two looks how far the journal is
    witness_s: float = 0.5  # in which every process says what it has seen; each of them asks every 0.1 s
    told_s: float = 1.0  # for NATS's word
    lease_ms: int = 5_000  # another process takes over this long after the rebuilder's last sign
    retry_s: float = 1.0  # after a failure
    entries_max: int = 4_000  # per reading of the journal
    show_every_s: float = 0.5  # between two words on how far it is
    page_bytes: int = 1_000_000  # of a baseline, before it is compressed
