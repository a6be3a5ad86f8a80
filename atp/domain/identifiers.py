"""Identifiers that callers and sources bring: how long they may be and what they may hold (R39).

A schema checks the lengths. Control characters and normal form need a look at the characters, which ``fault`` takes;
both edges (``api``, ``ingest``) call it, so that no other form of a name ever reaches the ledger.
"""

import re
from typing import Annotated
from unicodedata import is_normalized

from msgspec import Meta

#: Characters of a sku, location, channel, source or line id.
ID_MAX = 64

#: Characters of an order reference or a customer.
REF_MAX = 128

# C0 with DEL, C1, and the two separators that many systems treat as line ends.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# Halves of a pair: JSON can escape one alone, which some readers take (those of tokens), and no UTF-8 can have.
_SURROGATE = re.compile("[\ud800-\udfff]")

Sku = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="Stock keeping unit.")]
LocationId = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="A place with stock.")]
ChannelId = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="Where units are sold.")]
CampaignId = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="A sale with its own stock.")]
SourceId = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="One ERP, WMS or store system instance.")]
LineId = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="The caller's name of a line.")]
OrderRef = Annotated[str, Meta(min_length=1, max_length=REF_MAX, description="The caller's order.")]
CustomerRef = Annotated[str, Meta(min_length=1, max_length=REF_MAX, description="The caller's customer.")]


def plain(text: str) -> bool:
    """Whether there is nothing to look for: ASCII characters that show, and so no white space."""
    return text.isascii() and text.isprintable() and " " not in text


def fault(text: str, most: int = ID_MAX) -> str | None:
    """What is wrong with an identifier of 1 to ``most`` characters, to be read after its name; None if nothing is.

    Names are refused rather than repaired: a name that was changed on the way in would not match on the way out.
    White space around one is refused since nobody sees it, and half of the systems that pass names on take it away.
    """
    if 0 < len(text) <= most and plain(text):  # as nearly all are
        return None
    return text_fault(text, most) or (None if text.strip() == text else "begins or ends with white space")


def text_fault(text: str, most: int) -> str | None:
    """The same for words of 1 to ``most`` characters that are kept and name nothing, like a reason."""
    if not text:
        return "is empty"
    if len(text) > most:
        return f"is longer than {most} characters"
    if not is_normalized("NFC", text):
        return "is not in Unicode normal form NFC"
    if found := _CONTROL.search(text):
        return f"has the control character U+{ord(found[0]):04X} at index {found.start()}"
    if found := _SURROGATE.search(text):
        return f"has half a character at index {found.start()}"
    return None
