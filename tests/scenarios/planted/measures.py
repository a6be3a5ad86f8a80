"""What a source's number stands for, and which orders it counts."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("an order that the level counts is subtracted again", "(measure == 'available' and n[N_INCLUDED] or 0)\n", "0\n"),
    ("entries do not say what the number is net of", "if measure ~= 'on_hand' then t[9], t[10] =", "if false then t[9], t[10] ="),
    ("a measure is believed to be another", "local policy = b.policies.sources[source]\n", "local policy = nil\n"),
    ("an acknowledgement counts at once", "if not version_less(n[N_VERSION], version) then\n      n[N_INCLUDED]", "if true then\n      n[N_INCLUDED]"),
    ("a level counts no acknowledgement", "\n  inclusion.include(n)\n", "\n"),
    ("a level counts the next one's acknowledgements", "if not version_less(n[N_VERSION], { pending[at], pending[at + 1], pending[at + 2] }) then", "if true then"),
    ("an acknowledgement over HTTP counts at once", "version = { last[1], last[2], last[3] + 1 }", "version = last"),
    ("acknowledgements count at any measure", " or measure_of(b, source) ~= 'available' then return '' end", " then return '' end"),
    ("a second acknowledgement counts with the first", "  while steps[at] and version_less(steps[at][1], version) do at = at + 1 end\n  if steps[at] and", "  if steps[at] and"),
    ("units counted before are forgotten", "    steps[at][2] = steps[at][2] + units\n", "    steps[at][2] = units\n"),
    ("units counted before are counted twice", "  count_live(n, was[1], -1)\n", ""),
    ("a source's units are claimed by another", "    if tally[1] == source then return tally end\n", "    if true then return tally end\n"),
    ("versions are remembered without bound", "#n[N_PENDING] >= 4 * PENDING_MAX", "false"),
    ("units that left wait for ever", "if pending[at + 3] == 0 then inclusion.drop_pending(pending, at) end", ""),
    ("an included order's shipment is subtracted", "local unmatched = others - take(counted, others, left)", "local unmatched = others"),
    ("another source's inclusion hides a shipment", "tallies.standing(a, tallies.find(a, authority))[4]", "tallies.standing(a, (a[A_TALLIES] or {})[1])[4]"),
    ("a pending shipment counts as shown", "if not n or not n[N_LEVEL] or version_less(n[N_VERSION], step[1]) then", "if false then"),
    ("an old measure hides a shipment", "  if measure_of(b, authority) == 'available'\n      and not on_fallback", "  if not on_fallback"),
    ("released units of an included order are sold", "      if state == A_COMMITTED then\n        moves.watch(m, line[L_SKU], a)\n        tallies.leave(a, units)\n", "      if state == A_COMMITTED then\n"),
    ("a transfer keeps the inclusion", "      moves.watch(m, line[L_SKU], a)\n      tallies.leave(a, units)\n    end\n    a[state]", "    end\n    a[state]"),
    ("units that left stay acknowledged", "    a[A_ACKNOWLEDGED] = math.min(a[A_COMMITTED], live)\n", ""),
    ("an acknowledgement's kind of version is not compared", "if c[9] ~= expected then return O.VERSION_KIND_MISMATCH, r[R_SEQ]", "if false then return O.VERSION_KIND_MISMATCH, r[R_SEQ]"),
)  # fmt: skip
