"""Vendors' messages: kept as they came in a stream of their own, then made canonical by their mapping.

``doorway`` takes webhooks, ``translator`` reads the stream, ``formats`` knows the mappings. What a mapping cannot read
becomes a dead letter, and can be sent again when the mapping was mended.
"""

from atp.ingest.raw.doorway import Doorway
from atp.ingest.raw.formats import Formats, Webhooks
from atp.ingest.raw.translator import Translator

__all__ = ["Doorway", "Formats", "Translator", "Webhooks"]
