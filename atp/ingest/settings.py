"""What the ingest room may be told, with the reasons for what it does when told nothing."""

from msgspec import Struct

DAY_S = 86_400.0


class Settings(Struct, frozen=True):
    """Names, sizes and times of one consumer. Times end in their unit."""

    stream: str = "STOCK"
    shard: int = 0  # part of the ledger's key and of the consumer's name; a stream has one shard until it is split
    dead_letters: str = "STOCK_DLQ"
    raw: str = "STOCK_RAW"
    root: str = "stock"  # first token of all subjects

    batch_messages: int = 500  # one call's worth: larger ones gain little and delay shoppers' batches
    batches_in_flight: int = 2  # the ledger has the next one before it has answered the last
    batch_lines: int = 2_000  # a message has up to 1,000 lines; a batch may pass this by one message
    payload_max_bytes: int = 1 << 20  # 1,000 lines of the longest identifiers are about half of it
    request_max_bytes: int = 8 << 20  # memory for one pull request; two are outstanding

    heartbeat_s: float = 5.0  # silence of three of these means that the subscription is dead
    request_s: float = 30.0  # life of a pull request
    nats_timeout_s: float = 5.0
    ack_wait_s: float = 3_600.0  # the ledger's cursor is the truth; a redelivery would only disturb the order

    settle_after_ms: int = 100  # how often an idle stream's cursor is written; a busy one's rides with the next batch
    lease_ttl_ms: int = 3_000  # a standby takes over this long after the active process died
    retry_min_s: float = 0.05  # first pause after a failure; it doubles
    retry_max_s: float = 0.4  # what a server that is back waits for us
    load_high: float = 0.5  # fill of the ledger's queue above which shoppers come first
    load_pause_s: float = 0.25  # longest pause before a batch, at a full queue

    sweep_every_s: float = 0.5  # how soon a complete snapshot is noticed
    sweep_page: int = 500  # positions looked at in one call: a few milliseconds of the ledger's one thread

    overdue_every_s: float = 60.0  # how often deliveries are looked at: all of them, in small steps

    future_max_s: int = 300  # a version further ahead of the clock would block its position (R14)

    retention_min_s: float = 7 * DAY_S  # a rebuilt ledger reads again what its journal had not seen (R15)
    dead_letter_retention_s: float = 30 * DAY_S

    @property
    def key(self) -> str:
        """Name of the stream's shard in the ledger's cursors and in every stock entry."""
        return f"{self.stream}/{self.shard}"

    @property
    def raw_key(self) -> str:
        """Name of the stream of vendors' messages in the ledger's cursors."""
        return f"{self.raw}/0"

    @property
    def translator(self) -> str:
        """Name of the durable consumer of vendors' messages."""
        return "atp-translate"

    @property
    def consumer(self) -> str:
        """Name of the durable consumer."""
        return f"atp-ingest-{self.shard}"
