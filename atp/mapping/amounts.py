"""The quantity rule of a mapping: which number, with which sign, in units of what."""

from decimal import Decimal
from typing import NoReturn

from atp.mapping import paths, quantities
from atp.mapping.conditions import Check
from atp.mapping.lookups import LookupTable, Skipped
from atp.mapping.reasons import Refusal, Refused, shown, wrong
from atp.mapping.scopes import MISSING, Scope
from atp.mapping.spec import Measures, Quantity, Table
from atp.mapping.templates import Words

#: Digits of a number that needs no second look.
_SHORT = 9


class Amount:
    """A quantity rule, ready to read rows."""

    def __init__(self, spec: Quantity, key: str, tables: dict[str, LookupTable]) -> None:
        if (spec.path is not None) + (spec.value is not None) + (spec.measures is not None) != 1:
            wrong(key, "needs exactly one of path, value and measures")
        texts = [spec.path] if isinstance(spec.path, str) else spec.path or []
        if spec.path is not None and not texts:
            wrong(f"{key}.path", "needs at least one path")
        self._paths = [paths.parse(text, f"{key}.path") for text in texts]
        self._value = spec.value
        self._measures = _Measures(spec.measures, f"{key}.measures") if spec.measures else None
        self._sign = _Factor(spec.sign, f"{key}.sign", tables)
        self._reversed = Check(spec.reversed, f"{key}.reversed", tables) if spec.reversed else None
        self._units = _Factor(spec.units, f"{key}.units", tables)
        self._skip_null = spec.null == "skip"
        self._decimal_comma = spec.decimal_comma
        self._key = key

    def read(self, scope: Scope) -> int:
        """Whole units, signed. Raises Refused and Skipped."""
        sign = self._sign.read(scope)
        if not sign:
            raise Skipped("its code moves nothing")
        if self._reversed and self._reversed.passes(scope):
            sign = -sign
        amount = self._amount(scope) * sign * self._units.read(scope)
        if isinstance(amount, int) and -quantities.UNITS_MAX <= amount <= quantities.UNITS_MAX:
            return amount  # the common case, for which nobody needs to be told where it stood
        return quantities.units(amount, f"{self._key}: {scope.where}")

    def _amount(self, scope: Scope) -> int | Decimal:
        if self._value is not None:
            return self._value
        if self._measures:
            return self._measures.read(scope, decimal_comma=self._decimal_comma)
        value: object = MISSING
        for path in self._paths:
            value = paths.find(path, scope)
            if type(value) is int:
                return value
            if type(value) is str and len(value) <= _SHORT and value.isascii() and value.isdigit():
                return int(value)  # the common case again
            if value is not MISSING and value is not None and value != "":
                return quantities.number(value, f"{self._key}: {paths.where(path, scope)}",
                                         decimal_comma=self._decimal_comma)  # fmt: skip
        if self._skip_null:
            raise Skipped("it has no quantity")
        what = "null" if value is None else "empty" if value == "" else "not there"
        raise Refused(Refusal.INVALID_QUANTITY, f"{self._key}: {paths.where(self._paths[-1], scope)} is {what}")


class _Factor:
    """A fixed number, or one by code."""

    def __init__(self, spec: Table | int, key: str, tables: dict[str, LookupTable]) -> None:
        self._key = key
        self._fixed = spec if isinstance(spec, int) else None
        self._table = spec.table if isinstance(spec, Table) else {}
        self._skip = isinstance(spec, Table) and spec.otherwise == "skip"
        self._of = Words(spec.of, f"{key}.of", tables) if isinstance(spec, Table) else None
        if self._of and not self._table:
            wrong(f"{key}.table", "is empty")

    def read(self, scope: Scope) -> int:
        if self._of is None:
            return self._fixed or 0
        code = self._of.need(scope)
        if code in self._table:
            return self._table[code]
        if self._skip:
            raise Skipped(f"not in {self._key}.table")
        raise Refused(Refusal.UNKNOWN_CODE, f"{self._key}: {scope.where}: {shown(code)} is not in the table")


class _Measures:
    """The sum of numbers by name, each with the factor of its name; ``*.inbound`` stands for any first part."""

    def __init__(self, spec: Measures, key: str) -> None:
        self._path = paths.parse(spec.path, f"{key}.path")
        self._table = spec.table
        self._ignore = spec.otherwise == "ignore"
        self._key = key
        if not spec.table:
            wrong(f"{key}.table", "is empty")

    def read(self, scope: Scope, *, decimal_comma: bool) -> int | Decimal:
        where = f"{self._key}: {paths.where(self._path, scope)}"
        held = paths.find(self._path, scope)
        if not isinstance(held, dict):
            raise Refused(Refusal.INVALID_QUANTITY, f"{where} is {quantities.kind_of(held)}, not an object of measures")
        total: int | Decimal = 0
        known = 0
        for outer, within in held.items():
            for name, value in within.items() if isinstance(within, dict) else ((None, within),):
                full = f"{outer}.{name}" if name is not None else outer
                factor = self._factor(full, name, scope.message.ignore_case)
                if factor is None:
                    if self._ignore:
                        continue
                    self._unknown(where, full)
                known += 1
                total += factor * quantities.number(value, f"{where}.{full!a}", decimal_comma=decimal_comma)
        if not known:
            raise Skipped(f"no measure of {self._key}.table")
        return total

    def _factor(self, full: str, name: str | None, ignore_case: bool) -> int | None:
        for wanted in (full, f"*.{name}" if name is not None else full):
            if wanted in self._table:
                return self._table[wanted]
            if ignore_case:
                for key, factor in self._table.items():
                    if key.casefold() == wanted.casefold():
                        return factor
        return None

    def _unknown(self, where: str, full: str) -> NoReturn:
        raise Refused(Refusal.UNKNOWN_CODE, f"{where}: the measure {shown(full)} is not in the table")
