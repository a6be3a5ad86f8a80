"""Vendor formats as data: a mapping file says what a vendor's message means, and this room reads it accordingly.

    mapping = load("shopify")                                  # or a path: raises MappingError, naming file and key
    mapped = mapping.apply(Message(body, headers), "web-shop") # canonical events, or Refused with reason and place

Nothing here talks to anybody; whoever receives a message calls ``apply`` and publishes what comes of it. The same
message yields the same events with the same ids, so it may come any number of times.
The language: ``docs/reference/mapping.md``.
"""

from atp.mapping.canonical import Event, Mapped
from atp.mapping.loading import listed, load, shipped
from atp.mapping.mapping import Mapping, Message
from atp.mapping.reasons import MappingError, Refusal, Refused
from atp.mapping.signatures import SignatureInvalid, verify
from atp.mapping.versions import Stamp

__all__ = [
    "Event",
    "Mapped",
    "Mapping",
    "MappingError",
    "Message",
    "Refusal",
    "Refused",
    "SignatureInvalid",
    "Stamp",
    "listed",
    "load",
    "shipped",
    "verify",
]
