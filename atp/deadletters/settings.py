"""What the room of dead letters may be told."""

from msgspec import Struct


class LetterSettings(Struct, frozen=True):
    """Names, sizes and times. Times end in their unit."""

    stream: str = "STOCK_DLQ"
    stock: str = "STOCK"  # where letters came from, also those that do not say so
    raw: str = "STOCK_RAW"  # or from here
    root: str = "stock"  # first token of all subjects

    headers_at_once: int = 500  # letters without their payloads, of one request to the server
    letters_at_once: int = 32  # whole ones: 32 MB at worst are in memory
    timeout_s: float = 5.0
    forgotten_s: float = 30.0  # the server drops a reader that died after this long
