"""Conditions of a mapping: which messages it reads, and which of their rows."""

from atp.mapping.lookups import LookupTable, Skipped
from atp.mapping.reasons import Refusal, Refused, shown, wrong
from atp.mapping.scopes import Scope
from atp.mapping.spec import Condition
from atp.mapping.templates import Words


class Check:
    """One condition."""

    def __init__(self, spec: Condition, key: str, tables: dict[str, LookupTable]) -> None:
        if (spec.in_ is not None) + (spec.not_in is not None) + (spec.present is not None) != 1:
            wrong(key, "needs exactly one of in, not_in and present")
        self._of = Words(spec.of, f"{key}.of", tables)
        self._among = None if spec.in_ is None else frozenset(spec.in_)
        self._outside = None if spec.not_in is None else frozenset(spec.not_in)
        self._present = spec.present
        self._absent = spec.absent == "passes"
        self._refuse = spec.otherwise == "refuse"
        self._ignore = spec.otherwise == "ignore"
        self._reason = spec.reason
        self._key = key

    def passes(self, scope: Scope) -> bool:
        """Whether the row passes. Raises Refused for a value that cannot be read."""
        return self._passes(self._of.read(scope))

    def test(self, scope: Scope, *, refuse: bool = False) -> None:
        """Raise Skipped or Refused when the row does not pass."""
        text = self._of.read(scope)
        if self._passes(text):
            return
        name = self._of.templates[0].text
        what = f"{name} is {'missing' if text is None else shown(text)}"
        if refuse or self._refuse:
            reason = self._reason or f"{what}, and this mapping does not read such messages"
            raise Refused(Refusal.NOT_ACCEPTED, f"{self._key}: {scope.where}: {reason}")
        raise Skipped("" if self._ignore else self._reason or what)

    def _passes(self, text: str | None) -> bool:
        if self._present is not None:
            return bool(text) is self._present
        if text is None:
            return self._absent
        return text in self._among if self._among is not None else text not in (self._outside or ())
