"""The mapping language as it is written: one struct per table of the TOML file (docs/reference/mapping.md)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Factor = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]


class Text(Struct, forbid_unknown_fields=True, rename={"templates": "from"}):
    """A piece of text: a template, or the first complete one of several, and what is done to it."""

    templates: str | list[str]
    lookup: str = ""  # name of a table below `lookup`
    gs1: Literal["", "gtin", "gln", "word"] = ""  # read an EPC URN or Digital Link
    strip_zeros: bool = False  # leading ones of a number, as in SAP's material numbers


Texts = str | list[str] | Text


class Condition(Struct, forbid_unknown_fields=True, rename={"in_": "in"}):
    """A row must pass it. Exactly one of ``in``, ``not_in`` and ``present``."""

    of: Texts
    in_: list[str] | None = None
    not_in: list[str] | None = None
    present: bool | None = None
    absent: Literal["fails", "passes"] = "fails"
    otherwise: Literal["skip", "refuse", "ignore"] = "skip"  # ignored rows are not counted
    reason: str = ""  # what skipped rows are counted under


class Table(Struct, forbid_unknown_fields=True):
    """A factor by code."""

    of: Texts
    table: dict[str, Factor]
    otherwise: Literal["refuse", "skip"] = "refuse"


class Measures(Struct, forbid_unknown_fields=True):
    """Numbers by name below one object, like D365's ``quantities``; ``table`` says which count and with what sign."""

    path: str
    table: dict[str, Factor]
    otherwise: Literal["refuse", "ignore"] = "refuse"


class Quantity(Struct, forbid_unknown_fields=True):
    """How many. Exactly one of ``path``, ``value`` and ``measures``."""

    path: str | list[str] | None = None
    value: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None
    measures: Measures | None = None
    sign: Table | Literal[-1, 1] = 1
    units: Table | Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    reversed: Condition | None = None  # turns the sign round, as for an ERP's reversals
    null: Literal["refuse", "skip"] = "refuse"
    decimal_comma: bool = False


class Version(Struct, forbid_unknown_fields=True):
    """What says which of two events is the newer one. Exactly one of ``sequence``, ``time`` and ``given``."""

    sequence: str | list[str] | None = None
    time: str | list[str] | None = None
    given: bool = False  # when it arrived; for a file what --sequence or --version-time say
    format: str | list[str] = "rfc3339"
    plus: str | list[str] | None = None  # path of a time of day that belongs to the date
    zone: str = ""


class Event(Struct, forbid_unknown_fields=True):
    """One kind of event that a message may yield."""

    kind: Literal["level", "delta", "touch"]
    sku: Texts
    location: Texts | None = None
    each: str | list[str] = "$"
    missing_rows: Literal["refuse", "skip"] = "refuse"
    when: Annotated[list[Condition], Meta(max_length=32)] = []
    quantity: Quantity | None = None
    measure: Texts | None = None
    reason: Texts | None = None
    id: str | list[str] | None = None
    version: Version | None = None
    combine: Literal["refuse", "sum"] = "refuse"


class Lookup(Struct, forbid_unknown_fields=True):
    """A table from the vendor's ids to ours."""

    ids: dict[str, str] = {}
    file: str = ""  # CSV beside the mapping: first column the vendor's id, second ours
    missing: Literal["refuse", "skip", "keep"] = "refuse"


class Csv(Struct, forbid_unknown_fields=True):
    """How a CSV file is written."""

    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    encoding: Literal["utf-8", "cp1252", "iso-8859-1", "iso-8859-15"] = "utf-8"
    header: list[str] = []  # names of the columns when the first line does not hold them


class Signature(Struct, forbid_unknown_fields=True):
    """How a webhook is signed. ``secret`` names a setting; the secret itself never stands in a mapping."""

    header: str
    secret: Annotated[str, Meta(pattern=r"^ATP_WEBHOOK_SECRET_[A-Z0-9_]{1,40}$")]
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["base64", "hex"] = "base64"
    signed: str = "{body}"
    prefix: str = ""
    pairs: bool = False  # the header is "t=…,v1=…"
    timestamp_header: str = ""
    tolerance_s: Annotated[int, Meta(ge=1, le=86_400)] = 300


class Spec(Struct, forbid_unknown_fields=True):
    """A whole mapping, with what it extends already in it."""

    events: Annotated[list[Event], Meta(min_length=1, max_length=32)]
    about: str = ""
    extends: str = ""
    format: Literal["json", "ndjson", "csv", "any"] = "json"
    accept: Annotated[list[Condition], Meta(max_length=32)] = []
    ignore_case: bool = False
    snapshot: bool = False
    version: Version | None = None
    id: str | list[str] | None = None
    lookup: dict[str, Lookup] = {}
    csv: Csv = field(default_factory=Csv)
    signature: Signature | None = None
