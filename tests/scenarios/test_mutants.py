"""Would the scenarios notice? Bugs planted in the Lua library, one at a time, each of which must be told from the rules.

A mutant is (name, text, replacement). It runs the random batches of ``test_random`` with plain seeds, and then every
scenario table, and must differ somewhere. A mutant whose text is gone fails, so that the list follows the code; one
that no input can tell from the original does not belong here.
"""
# ruff: noqa: E501 - one line is one mutant

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.scenarios import altered, every

#: Seeds of random lives before the tables, which are slower, and after them.
FIRST, THEN = range(4), range(4, 30)
BATCHES = 25

MUTANTS = (
    # Reserve
    ("availability is not checked", "local shortfalls, any = shortfalls_of(s, c[11], c[14]), false", "local shortfalls, any = {}, false"),
    ("a quick look sells what is not there", "return free_units(s, line[2], line[4]) >= line[3] and { { { line[4], line[3] } } } or nil", "return { { { line[4], line[3] } } }"),
    ("one unit too many is sold", "math.max(0, free_at(s.b, sku, location, place)", "math.max(0, 1 + free_at(s.b, sku, location, place)"),
    ("held units are subtracted", "p[P_HELD] = p[P_HELD] + held", "p[P_HELD] = p[P_HELD] - held"),
    ("two lines of one sku are not summed", " - (s.taken[place] or 0))", ")"),
    ("only the last line of a sku is taken", "s.taken[place] = (s.taken[place] or 0) + quantity", "s.taken[place] = quantity"),
    ("safety stock is sold", "- p[P_UNSELLABLE] - safety_stock(b.skus[sku], location) - p[P_HELD]", "- p[P_UNSELLABLE] - p[P_HELD]"),
    ("an inactive location sells", "if not policy or not policy.active then return 0 end", "if not policy then return 0 end"),
    ("priority is ignored", "local x, y = locations[a].priority, locations[b].priority", "local x, y = 0, 0"),
    ("baskets are not kept together", "#lines > 1 and one_location(s, lines)\n", "#lines > 1 and whole_line(s, lines[1])\n"),
    ("lines are not kept together", "together or whole_line(s, line)", "together"),
    ("a basket's fingerprint is not compared", "if known[R_FINGERPRINT] ~= c[3] or not find_by_id(b, c[2]) then", "if not find_by_id(b, c[2]) then"),
    ("an identity's bucket is not compared", "return r and (r.tombstone and r[T.BUCKET] or r[R_BUCKET]) == string.sub(id, 1, 3) and r", "return r"),
    ("a refusal is not remembered", "b.new_refused[identity] = { b.refused_gen, value }", ""),
    ("a refusal's fingerprint is not compared", "if refusal[1] ~= c[3] then return O.KEY_REUSED, b.seq end", ""),
    ("a refusal outlives two generations", "(age < 2 * REFUSED_MS and 1 or 2)", "1"),
    ("a refusal stands on due holds", "if #shortfalls > 0 and b.due_left then return O.AGAIN, b.seq end", ""),
    ("an unknown location is only empty", "if line[4] ~= '' and not b.policies.locations[line[4]] then", "if false then"),
    # Stock
    ("an older level wins", "return O.STALE, b.seq", "n = n"),
    ("the tie of equal versions is ignored", " and c[9] <= n[N_TIE])", ")"),
    ("a delta counts twice", "if is_recent(recent, event) then return O.DUPLICATE, b.seq end", ""),
    ("a delta inside the level counts", "if n and n[N_LEVEL] and not version_less(n[N_VERSION], version) then return O.INCLUDED, b.seq end", ""),
    ("a forgotten delta counts again", "if n and not version_less(n[N_FLOOR], version) then return O.LATE_DELTA, b.seq end", ""),
    ("a level forgets the deltas above it", "then number = number + item[2] else forget(recent, event) end", "then else forget(recent, event) end"),
    ("deltas below a level stay in memory", "call('HDEL', key, unpack(removed, first, math.min(first + CHUNK - 1, #removed)))", ""),
    ("a level below forgotten deltas is believed", "number = math.min(number, n[N_NUMBER])", "number = number + 0"),
    ("a shortage is not reported", "if after < 0 and after < before then", "if false then"),
    ("a shortage is reported again", "if after < 0 and after < before then", "if after < 0 then"),
    ("a cursor moves back", "if c[3] <= (b.cursors[c[2]] or 0) then return O.SETTLED, b.seq end", ""),
    ("a settled event counts again", "if c[9] > 0 and c[9] <= (b.cursors[c[8]] or 0) then return O.SETTLED end", ""),
    ("a measure is not compared", "if measure ~= '' and measure ~= policy.measure then", "if false then"),
    ("a kind of version is not compared", "if c[6] ~= expected then", "if false then"),
    ("the last source takes the authority", "if not policy.listed and not b.policies.authorities[c[3]] then", "if not policy.listed then"),
    # Lifecycle
    ("confirmed units stay held", "move_position(b, line[L_SKU], a[A_LOCATION], -units, units)", "move_position(b, line[L_SKU], a[A_LOCATION], 0, units)"),
    ("what is no longer held stays due", "call('ZREM', key, unpack(removed, first, math.min(first + CHUNK - 1, #removed)))", "call('TIME')"),
    ("a change leaves the sku's seq", "touch(b, lines[1][L_SKU], seq)\n", "\n"),
    ("a change's body is not compared", "return r, known[2] == change[2] and O.REPLAYED or O.KEY_REUSED", "return r, O.REPLAYED"),
    ("more than 32 changes are remembered", "if #changes > CHANGES_MAX then table.remove(changes, 1) end", ""),
    ("a due hold is changed before it is settled", "r[R_EXPIRES] + GRACE_MS <= b.now and units_of(r).held > 0 then return r, O.AGAIN end", "false then return r, O.AGAIN end"),
    ("of both, committed units go first", """\
    if of ~= 'committed' then -- of both, what nobody paid for goes first
      quantity = give_back(b, want[1], quantity, A_HELD)
      left = left - (want[2] - quantity)
    end
    if of ~= 'held' then give_back(b, want[1], quantity, A_COMMITTED) end
""", """\
    if of ~= 'held' then quantity = give_back(b, want[1], quantity, A_COMMITTED) end
    if of ~= 'committed' then left = left - (quantity - give_back(b, want[1], quantity, A_HELD)) end
"""),
    ("the grace is missing", "r[R_EXPIRES] + GRACE_MS or false", "r[R_EXPIRES] or false"),
    ("a deadline moves nearer", "math.max(r[R_EXPIRES], b.now + c[4])", "b.now + c[4]"),
    ("the longest hold counts from now", "if expires > r[R_SINCE] + MAX_HOLD_MS then", "if expires > b.now + MAX_HOLD_MS then"),
    ("due holds are settled in another order", "due', '-inf', b.now, 'BYSCORE', 'LIMIT'", "due', b.now, '-inf', 'BYSCORE', 'REV', 'LIMIT'"),
    ("more holds are settled than asked", "due[#due] = nil", ""),
    ("ended units stay held", """\
        move_position(b, line[L_SKU], a[A_LOCATION], -a[A_HELD], 0)
        a[state]""", """\
        a[state]"""),
    ("expired units count as released", "end_held(b, r, A_EXPIRED)", "end_held(b, r, A_RELEASED)"),
    # Replacements, quotes, and what becomes of committed units
    ("a replaced hold stays held", "end_held(b, old, A_RELEASED)", ""),
    ("a replaced hold blocks its buyer", "if old then give_back_held(s, old) end", ""),
    ("another customer's hold is replaced", " or old[R_CUSTOMER] ~= c[6])", ")"),
    ("a paid basket is replaced", "if t.committed + t.fulfilled > 0 then return nil, O.NOT_ACTIVE, 'replaces' end", ""),
    ("replacing starts the longest hold anew", "local since = old and old[R_SINCE] or b.now", "local since = b.now"),
    ("a quote is held", "if c[15] then return O.QUOTED", "if false then return O.QUOTED"),
    ("a basket is split against its wish", "local together = not split and best_location(s, lines)", "split = true local together"),
    ("shipped units are sold again", "- p[P_COMMITTED] - shipped_units(p)", "- p[P_COMMITTED]"),
    ("any level counts a shipment", "shipped[i] >= as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS", "false"),
    ("another source's level counts a shipment", "if c[4] == authority_of(b, c[3]) then count_shipped", "if true then count_shipped"),
    ("a parcel counts twice", "if known[1] == c[5] then return answer_found(b, c[2], r, O.REPLAYED) end", ""),
    ("a transfer takes what is not free", "if available < c[7] then", "if false then"),
    ("a transfer keeps acknowledgements", "for _, a in ipairs(here) do a[A_ACKNOWLEDGED] = math.min(a[A_ACKNOWLEDGED], a[A_COMMITTED]) end", ""),
    ("a record is cut down before it is journaled", "return item[1] <= b.trimmed and item[2]", "return item[2]"),
    ("a record that came back to life is cut down", "and r[R_SEQ] == item[1] then", "then"),
    ("a tombstone forgets its last changes", "for _, known in ipairs(tombstone[T.CHANGES]) do", "for _, known in ipairs({}) do"),
    ("a tombstone's fingerprint is not compared", "if known[T.FINGERPRINT] ~= c[3] or not find_by_id(b, c[2]) then", "if not find_by_id(b, c[2]) then"),
    ("a tombstone stays for ever", "if #b.removed > 0 then", "if false then"),
    ("units are reacquired out of nothing", "if #short > 0 then", "if false then"),
    # Policy and clock
    ("a policy's version is not checked", "if c[5] ~= -1 and c[5] ~= current then", "if false then"),
    ("a copy takes a version of its own", "local version = c[6] > 0 and c[6] or seq", "local version = seq"),
    ("the clock runs backward", "math.max(header[7] > 0 and header[7] or clock(), tonumber(meta.last_now))", "(header[7] > 0 and header[7] or clock())"),
)  # fmt: skip


def test_the_original_passes_what_mutants_must_not(valkey: str, loop: asyncio.AbstractEventLoop) -> None:
    difference = find_difference(valkey, loop)
    assert difference is None, difference


@pytest.mark.parametrize(("text", "replacement"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_planted_bug_is_found(
    valkey: str, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, text: str, replacement: str
) -> None:
    altered.use(monkeypatch, (text, replacement))
    assert find_difference(valkey, loop), f"nothing tells the library from one with {replacement!r} for {text!r}"


def find_difference(url: str, loop: asyncio.AbstractEventLoop) -> str | None:
    """Where the loaded library first differs from the rules, or None after all that is tried."""
    for name, attempt in attempts(url, loop):
        try:
            attempt()
        except AssertionError as problem:
            return f"{name}: {str(problem)[:500]}"
    return None


def attempts(url: str, loop: asyncio.AbstractEventLoop) -> Iterator[tuple[str, Callable[[], None]]]:
    """All that is tried, in order."""
    for seed in FIRST:
        yield f"seed {seed}", lambda seed=seed: every.live(every.machine(url, loop), seed, BATCHES)
    for name, scenario in every.scenarios().items():
        yield name, lambda scenario=scenario: every.play(scenario, url, loop)
    for seed in THEN:
        yield f"seed {seed}", lambda seed=seed: every.live(every.machine(url, loop), seed, BATCHES)
