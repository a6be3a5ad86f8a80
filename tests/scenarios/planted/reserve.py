"""Reserve."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("availability is not checked", "local shortfalls, any = shortfalls_of(s, c[11], c[14]), false", "local shortfalls, any = {}, false"),
    ("a quick look sells what is not there", "return free_units(s, line, line[4]) >= line[3] and { { { line[4], line[3] } } } or nil", "return { { { line[4], line[3] } } }"),
    ("one unit too many is sold", " - (s.taken[place] or 0)\n", " - (s.taken[place] or 0) + 1\n"),
    ("held units are subtracted", "p[P_HELD] = p[P_HELD] + held", "p[P_HELD] = p[P_HELD] - held"),
    ("two lines of one sku are not summed", " - (s.taken[place] or 0)\n", "\n"),
    ("only the last line of a sku is taken", "own(s, 'taken')[place] = (s.taken[place] or 0) + units", "own(s, 'taken')[place] = units"),
    ("safety stock is sold", "local promised = safety_stock(s, location) + p[P_HELD]", "local promised = p[P_HELD]"),
    ("an inactive location sells", "if not policy or not policy.active then return 0 end", "if not policy then return 0 end"),
    ("priority is ignored", "local x, y = locations[a].priority, locations[b].priority", "local x, y = 0, 0"),
    ("baskets are not kept together", "#lines > 1 and one_location(s, lines)\n", "#lines > 1 and whole_line(s, lines[1])\n"),
    ("lines are not kept together", "together or whole_line(s, line)", "together"),
    ("a basket's fingerprint is not compared", "if known[R_FINGERPRINT] ~= c[3] or not find_by_id(b, c[2]) then", "if not find_by_id(b, c[2]) then"),
    ("an identity's bucket is not compared", "return r and (r.tombstone and r[T.BUCKET] or r[R_BUCKET]) == string.sub(id, 1, 3) and r", "return r"),
    ("a refusal is not remembered", "b.new_refused[name] = { b.refused_gen, value }", ""),
    ("a refusal's fingerprint is not compared", "if refusal[1] ~= c[3] then return O.KEY_REUSED, b.seq end", ""),
    ("a look-up takes every record for its own", "handlers[C.RECALL] = function(b, c)\n  local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, c)", "handlers[C.RECALL] = function(b, c)\n  local known = find_reservation(b, identity_of(c[2]))\n  local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, { c[1], c[2], known and not known.tombstone and known[R_FINGERPRINT] or c[3] })"),
    ("a look-up finds no refusal", "handlers[C.RECALL] = function(b, c)\n  local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, c)", "handlers[C.RECALL] = function(b, c)\n  local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, c)\n  if outcome == O.INSUFFICIENT then outcome = nil end"),
    ("a refusal outlives two generations", "(age < 2 * REFUSED_MS and 1 or 2)", "1"),
    ("a refusal stands on due holds", "if #shortfalls > 0 and b.due_left then return O.AGAIN, b.seq end", ""),
    ("an unknown location is only empty", "if line[4] ~= '' and not b.policies.locations[line[4]] then", "if false then"),
)  # fmt: skip
