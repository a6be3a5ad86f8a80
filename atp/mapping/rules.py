"""The rules of a mapping, ready to read rows: what one kind of event is made of."""

from collections.abc import Iterator

from atp.domain.identifiers import fault
from atp.mapping import paths
from atp.mapping.amounts import Amount
from atp.mapping.canonical import ID_MAX, Found, digest_of
from atp.mapping.conditions import Check
from atp.mapping.lookups import LookupTable, Skipped
from atp.mapping.reasons import Refusal, Refused, shown, wrong
from atp.mapping.scopes import Scope
from atp.mapping.spec import Event, Spec
from atp.mapping.templates import Template, Words, parse
from atp.mapping.versions import Clock, Stamp

MEASURES = frozenset(("on_hand", "sellable", "available"))

#: Characters of a reason; a thousand of the longest lines still fit into one message.
_REASON_MAX = 64


class Rule:
    """One ``[[events]]`` table."""

    def __init__(self, spec: Event, whole: Spec, key: str, tables: dict[str, LookupTable]) -> None:
        self.kind = spec.kind
        self.key = key
        each = [spec.each] if isinstance(spec.each, str) else spec.each
        self._each = [_rows_path(text, f"{key}.each") for text in each] or wrong(f"{key}.each", "needs a path")
        self._missing_ok = spec.missing_rows == "skip"
        self._when = [Check(one, f"{key}.when[{n}]", tables) for n, one in enumerate(spec.when)]
        self._sku = Words(spec.sku, f"{key}.sku", tables)
        self._location = Words(spec.location, f"{key}.location", tables) if spec.location is not None else None
        self._amount = Amount(spec.quantity, f"{key}.quantity", tables) if spec.quantity else None
        self._measure = Words(spec.measure, f"{key}.measure", tables) if spec.measure is not None else None
        self._reason = Words(spec.reason, f"{key}.reason", tables) if spec.reason is not None else None
        self._add = spec.combine == "sum"
        self._ids = _ids(spec, whole, key)
        version = spec.version or whole.version
        self._clock = Clock(version, f"{key}.version" if spec.version else "version") if version else None
        self.given = self._clock is not None and self._clock.given
        self._check_kind(spec)

    def _check_kind(self, spec: Event) -> None:
        if spec.kind == "touch":
            for name in ("quantity", "measure", "reason"):
                if getattr(spec, name) is not None:
                    wrong(f"{self.key}.{name}", "a touch has none")
            return
        for name in ("quantity", "location"):
            if getattr(spec, name) is None:
                wrong(f"{self.key}.{name}", f"a {spec.kind} needs it")
        if self._clock is None:
            wrong(f"{self.key}.version", "nothing says which event is the newer one: give version here or for all")
        if spec.kind == "level" and spec.reason is not None:
            wrong(f"{self.key}.reason", "belongs to deltas")
        if spec.kind == "delta":
            if spec.measure is not None:
                wrong(f"{self.key}.measure", "belongs to levels")
            if spec.combine == "sum":
                wrong(f"{self.key}.combine", "deltas add up by themselves")
        if self._measure and (fixed := self._measure.templates[0].text) not in MEASURES and "{" not in fixed:
            wrong(f"{self.key}.measure", f"{shown(fixed)} is none of {', '.join(sorted(MEASURES))}")

    def rows(self, scope: Scope) -> Iterator[Scope]:
        """The rows of a document. Raises Refused."""
        path = next((path for path in self._each[:-1] if paths.holds(path, scope)), self._each[-1])
        return paths.rows(path, scope, missing_ok=self._missing_ok)

    def read(self, row: Scope, given: Stamp | None) -> Found:
        """One line. Raises Refused and Skipped."""
        for check in self._when:
            check.test(row)
        quantity = self._amount.read(row) if self._amount else 0
        if self.kind == "delta" and not quantity:
            raise Skipped("a delta of 0")
        sku = self._identity(self._sku, row)
        location = self._identity(self._location, row) if self._location else ""
        stamp = self._clock.read(row, given) if self._clock else Stamp()
        id, weak = self._id(row)
        measure = self._measure.read(row) or "" if self._measure else ""
        if measure and measure not in MEASURES:
            raise Refused(
                Refusal.INVALID_DATA,
                f"{self.key}.measure: {row.where}: {shown(measure)} is none of {', '.join(sorted(MEASURES))}",
            )
        if weak and self.kind == "level":
            # A number that came back is no repeat of what it was before; of a delta only its content tells a repeat.
            id = digest_of(id, str(stamp.sequence), stamp.time)
        reason = (self._reason.read(row) or "")[:_REASON_MAX] if self._reason else ""
        if problem := _surrogate(reason):
            raise Refused(Refusal.INVALID_DATA, f"{self.key}.reason: {row.where}: {shown(reason)} {problem}")
        return Found(self.kind, id, weak, stamp, sku, location, quantity, measure, reason, self._add,
                     row)  # fmt: skip

    def _identity(self, words: Words, row: Scope) -> str:
        text = words.need(row)
        if problem := fault(text) or _surrogate(text):
            raise Refused(Refusal.INVALID_IDENTIFIER, f"{words.key}: {row.where}: {shown(text)} {problem}")
        return text

    def _id(self, row: Scope) -> tuple[str, bool]:
        for template in self._ids:
            if text := template.fill(row):
                if problem := fault(text, ID_MAX) or _surrogate(text):
                    raise Refused(Refusal.INVALID_IDENTIFIER, f"{self.key}.id: {row.where}: {shown(text)} {problem}")
                return text, template.uses("@hash", "@digest")
        missing = self._ids[-1].missing(row)
        raise Refused(Refusal.INVALID_IDENTIFIER, f"{self.key}.id: {missing} is not there")


def _ids(spec: Event, whole: Spec, key: str) -> list[Template]:
    ids = spec.id if spec.id is not None else whole.id
    named = f"{key}.id" if spec.id is not None else "id"
    if ids is None:
        ids = "{@hash}"
    return [parse(text, named) for text in ([ids] if isinstance(ids, str) else ids)] or wrong(named, "needs a template")


def _rows_path(text: str, key: str) -> paths.Path:
    path = paths.parse(text, key, wildcards=True)
    if path.root not in ("", "$"):
        wrong(key, f"{text!r} begins at {path.root}; rows are looked for in the message")
    return path


def _surrogate(text: str) -> str | None:
    """Half a character, which JSON can write and nothing can store."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"has half a character at index {error.start}"
    return None
