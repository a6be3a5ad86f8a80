"""GS1 identifiers: EPC URNs and Digital Links as the plain numbers that shops know (EPC Tag Data Standard, CBV)."""

import re
from collections.abc import Callable

from atp.mapping.reasons import shown

_GTIN_URN = re.compile(r"urn:epc:(?:id|idpat|class):(?:sgtin|lgtin|itip|upui):(\d{6,12})\.(\d{1,7})(?:\..*)?")
_GLN_URN = re.compile(r"urn:epc:(?:id|idpat):(?:sgln):(\d{6,12})\.(\d{0,6})(?:\.(.*))?")
_PARTY_URN = re.compile(r"urn:epc:id:pgln:(\d{6,12})\.(\d{0,6})")
_LINK = re.compile(r"https?://[^?#]*")
_GTIN_LINK = re.compile(r"/(?:01|gtin)/(\d{8}|\d{12,14})(?:/|$)")
_GLN_LINK = re.compile(r"/(?:414|417|gln)/(\d{13})(?:/254/([^/]+))?(?:/|$)")


class NotGs1(Exception):
    """The text is not what it should be; to be read after its name."""


def gtin(text: str) -> str:
    """GTIN-14 of a URN with or without serial or lot, of a Digital Link, or of plain digits. Raises NotGs1."""
    if found := _GTIN_URN.fullmatch(text):
        company, item = found[1], found[2]
        if len(company) + len(item) != 13:
            raise NotGs1(f"{shown(text)} has {len(company) + len(item)} digits and not 13")
        # The item reference begins with the indicator, which leads the GTIN.
        return _with_check(item[0] + company + item[1:])
    if link := _LINK.match(text):
        if found := _GTIN_LINK.search(link[0]):
            return _checked(found[1].zfill(14))
        raise NotGs1(f"{shown(text)} has no /01/ with a GTIN")
    if text.isascii() and text.isdigit() and len(text) in (8, 12, 13, 14):
        return _checked(text.zfill(14))
    raise NotGs1(f"{shown(text)} is no GTIN, no EPC URN with one and no Digital Link")


def gln(text: str) -> str:
    """GLN of a URN or Digital Link, ``GLN.extension`` when it has one. Raises NotGs1."""
    if found := _GLN_URN.fullmatch(text) or _PARTY_URN.fullmatch(text):
        if len(found[1]) + len(found[2]) != 12:
            raise NotGs1(f"{shown(text)} has {len(found[1]) + len(found[2])} digits and not 12")
        extension = found[3] if found.re is _GLN_URN else ""
        return _with_check(found[1] + found[2]) + (f".{extension}" if extension not in ("", "0", "*", None) else "")
    if link := _LINK.match(text):
        if found := _GLN_LINK.search(link[0]):
            return _checked(found[1]) + (f".{found[2]}" if found[2] else "")
        raise NotGs1(f"{shown(text)} has no /414/ with a GLN")
    if text.isascii() and text.isdigit() and len(text) == 13:
        return _checked(text)
    raise NotGs1(f"{shown(text)} is no GLN, no EPC URN with one and no Digital Link")


def word(text: str) -> str:
    """The bare word of a vocabulary's value: ``urn:epcglobal:cbv:bizstep:receiving`` and ``…/cbv/BizStep-receiving``.

    Of several between spaces, each.
    """
    if " " in text:
        return " ".join(map(word, text.split()))
    if text.startswith("urn:epcglobal:cbv:"):
        return text.rpartition(":")[2]
    if text.startswith(("http://", "https://")):
        last = text.rpartition("/")[2]
        return last.partition("-")[2] or last
    return text.removeprefix("cbv:")


READERS: dict[str, Callable[[str], str]] = {"gtin": gtin, "gln": gln, "word": word}


def _with_check(digits: str) -> str:
    """Digits from the right weigh 3, 1, 3 …"""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def _checked(digits: str) -> str:
    if _with_check(digits[:-1]) != digits:
        raise NotGs1(f"{digits} has a wrong check digit: {digits[-1]} should be {_with_check(digits[:-1])[-1]}")
    return digits
