"""Writes what a caller was answered into the books, and notes what no answer may say."""

import time

from atp.demo import documents
from atp.demo.books import Books, Request, Sale, SoldLine
from atp.demo.http import Answer
from atp.demo.retailer import Item
from atp.demo.tally import Tally

Wanted = list[tuple[Item, int, str]]  # item, quantity, location or ""


class Clerk:
    """Knows no wire: whoever asks hands over the definite answers."""

    def __init__(self, books: Books, tally: Tally) -> None:
        self._books = books
        self._tally = tally

    def changed(self, sale: Sale, action: str, answer: Answer, line: SoldLine | None = None) -> None:
        """A confirm or release of one line, or of all that is held, was answered."""
        end = "committed" if action == "confirm" else "released"
        if answer.status == 200:
            if line:
                line.end = end
            else:
                sale.end(end)
            self._tally.done["confirmed" if action == "confirm" else "released"] += 1
            self._compare(sale, answer)
        elif code_of(answer) == "reservation-expired" and time.monotonic() > sale.ends_after:
            sale.end("expired")
        else:
            self._books.contradict(f"{action} of {sale.id} was answered {answer.status} {answer.body[:200]!r}")

    def sold(self, answer: Answer, wanted: Wanted, ends_after: float, key: str) -> Sale | None:
        """A reserve was answered with a reservation; None where another request has it already."""
        found = documents.reservation(answer.body)
        sale = Sale(
            found.id,
            [SoldLine(line.line_id, line.sku, line.quantity, line.places()) for line in found.lines],
            ends_after,
            _request(wanted, key),
        )
        if sale.id in self._books.sales:
            self._books.contradict(f"two requests got the same reservation {sale.id}")
            return None
        self._books.sales[sale.id] = sale
        self._tally.done["reserved"] += 1
        self._tally.units += sum(line.quantity for line in sale.lines)
        for line, (item, quantity, at) in zip(found.lines, wanted, strict=True):
            right_place = not at or set(line.places()) == {at}
            if (line.sku, line.quantity) != (item.sku, quantity) or not right_place:
                self._books.contradict(f"{sale.id} gave {line.quantity} {line.sku}, asked were {quantity} {item.sku}")
        self._compare(sale, answer)
        return sale

    def _compare(self, sale: Sale, answer: Answer) -> None:
        """An answer shows quantities that add up, and the allocations that were promised."""
        found = documents.reservation(answer.body)
        self._tally.saw(found.position)
        for line, mine in zip(found.lines, sale.lines, strict=True):
            parts = line.held + line.committed + line.fulfilled + line.released + line.expired
            if not line.quantity == parts == sum(line.places().values()) or line.places() != mine.allocations:
                self._books.contradict(f"{sale.id} line {line.line_id} does not add up: {line}")
            elif mine.end == "held" and line.expired and time.monotonic() > sale.ends_after:
                continue  # the answer came late, after an outage
            elif getattr(line, mine.end) != mine.quantity:
                self._books.contradict(f"{sale.id} line {line.line_id} should be {mine.end}: {line}")

    def refused(self, answer: Answer, wanted: Wanted, key: str) -> Wanted:
        """Only a real lack is a reason; what is left is worth a try."""
        code = code_of(answer)
        self._tally.refusals[code] += 1
        self._books.refused.append(_request(wanted, key))
        faults = documents.problem(answer.body).errors if answer.status == 409 else []
        if code != "insufficient-availability" or not faults or any(f.available >= f.requested for f in faults):
            self._books.contradict(f"a reserve was answered {answer.status} {answer.body[:200]!r}")
        largest = {fault.sku: fault.largest_quantity for fault in faults}
        left = [(item, min(quantity, largest.get(item.sku, quantity)), at) for item, quantity, at in wanted]
        return [line for line in left if line[1] > 0]


def _request(wanted: Wanted, key: str) -> Request:
    return Request(key, min(item.sku for item, _, _ in wanted))


def code_of(answer: Answer) -> str:
    """The problem's code, or the status of what is none."""
    return documents.problem(answer.body).code if answer.status >= 400 else str(answer.status)
