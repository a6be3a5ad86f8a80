"""What a source's number stands for, and which orders it counts."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("an order that the level counts is subtracted again", "(measure == 'available' and n[N_INCLUDED] or 0)\n", "0\n"),
    ("entries do not say what the number is net of", "if measure ~= 'on_hand' then t[9], t[10] =", "if false then t[9], t[10] ="),
    ("a measure is believed to be another", "local policy = b.policies.sources[source]\n", "local policy = nil\n"),
    ("an acknowledgement counts at once", "if not version_less(n[N_VERSION], version) then\n    n[N_INCLUDED] = n[N_INCLUDED] + units", "if true then\n    n[N_INCLUDED] = n[N_INCLUDED] + units"),
    ("a level counts no acknowledgement", "\n  include(n)\n", "\n"),
    ("a level counts the next one's acknowledgements", "if not version_less(n[N_VERSION], { pending[at], pending[at + 1], pending[at + 2] }) then", "if true then"),
    ("an acknowledgement over HTTP counts at once", "if source == '' then version = { n[N_VERSION][1], n[N_VERSION][2], n[N_VERSION][3] + 1 } end", "if source == '' then version = n[N_VERSION] end"),
    ("acknowledgements count at any measure", "b.foreign[sku] or measure_of(b, by) ~= 'available' then return end", "b.foreign[sku] then return end"),
    ("a second acknowledgement counts with the first", "if version_less(version, older) then version = older end", "version = older"),
    ("a second acknowledgement takes the first back in time", "if version_less(version, older) then version = older end", ""),
    ("units counted before are forgotten", "kept = before\n    local older", "local older"),
    ("units counted before are counted twice", "change_counted(b, sku, a, -before)", ""),
    ("a source's units are claimed by another", "if a[A_COUNTED_BY] == by then\n    kept", "if before > 0 then\n    kept"),
    ("versions are remembered without bound", "#n[N_PENDING] >= 4 * PENDING_MAX then", "false then"),
    ("units that left wait for ever", "if pending[at + 3] == 0 then drop_pending(pending, at) end", ""),
    ("an included order's shipment is subtracted", "ship(b, line[L_SKU], a[A_LOCATION], minute, units - shown) end", "ship(b, line[L_SKU], a[A_LOCATION], minute, units) end"),
    ("another source's inclusion hides a shipment", "return included and by == authority_of(b, a[A_LOCATION]) and", "return included and"),
    ("a pending shipment counts as shown", "return included and by", "return by"),
    ("an old measure hides a shipment", " and measure_of(b, by) == 'available' and taken or 0", " and taken or 0"),
    ("released units of an included order are sold", "if state == A_COMMITTED then uncount(b, line[L_SKU], a, units) end\n      a[state]", "a[state]"),
    ("a transfer keeps the inclusion", "if state == A_COMMITTED then uncount(b, line[L_SKU], a, units) end\n    a[state]", "a[state]"),
    ("units that left stay acknowledged", "a[A_ACKNOWLEDGED] = a[A_ACKNOWLEDGED] - taken\n", "\n"),
    ("an acknowledgement's kind of version is not compared", "if c[9] ~= expected then return O.VERSION_KIND_MISMATCH, r[R_SEQ]", "if false then return O.VERSION_KIND_MISMATCH, r[R_SEQ]"),
)  # fmt: skip
