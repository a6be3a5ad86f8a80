"""The room's limits, with their units."""

from msgspec import Struct


class Settings(Struct, frozen=True):
    """How the outbox is emptied."""

    batch_max: int = 1_000  # entries per transaction, messages per publish: what NATS takes in one atomic batch
    handover_max: int = 20_000  # journaled entries kept in memory for the publisher; behind that it reads the journal
    idle_s: float = 0.02  # between two looks into an empty outbox
    gather_s: float = 0.1  # behind a batch that was not full; 0 where answers wait for the journal
    standby_s: float = 1.0  # between two looks at another process's lease
    retry_s: float = 0.1  # first pause after a failure; it doubles
    retry_max_s: float = 0.4  # what a server that is back waits for us; below a third of the lease, or that is lost
    lease_ms: int = 3_000  # a standby takes over this long after the owner's last sign
    days_every_s: float = 3_600.0  # between two looks whether the journal's next days are made
    retire_every_s: float = 600.0  # between two looks whether a day may leave it
    prune_pause_s: float = 0.2  # between two pages of old reservations: others need the database as well

    stream: str = "ATP"
    root: str = "atp.v1"  # first words of every subject
    retention_s: float = 7 * 86_400.0  # cursors of the feed live at least a day (R33)
    duplicate_window_s: float = 120.0  # NATS keeps all ids of this time in memory
    move_every_s: float = 0.25  # between two transactions of the publisher's cursor
    publish_s: float = 5.0  # for one acknowledgement

    announce_every_s: float = 0.1  # between two availability events of one sku (R33)
    announce_max: int = 500  # skus per reading of the ledger
    announce_share: float = 0.1  # of the ledger's time that these readings may take
    announced_max: int = 100_000  # skus whose last event is remembered

    short_every_s: float = 0.25  # between two looks whether a position fell short
    short_page: int = 128  # reservations per command that names them; the law takes up to 256 (R28)
    short_read: int = 2_048  # reservations per reading of the journal

    measure_every_s: float = 1.0  # between two looks at how much waits in the outbox
