"""Explain."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("deltas are not told from the level", "units = units + struct.unpack('>i4', stored, 11)", "units = 0"),
    ("forgotten deltas pass for the level", "units, count, version_less(n[N_VERSION], n[N_FLOOR])", "units, count, false"),
    ("nobody's number counts", "at[1], at[2], selling(b, s, lookup(b, b.positions, 'pos', place), location)", "at[1], at[2], ''"),
    ("the item's policy is not named", "{ sku, stock[2], s[S.VERSION]", "{ sku, stock[2], 0"),
    ("the ceiling counts as a floor of others", "new_sourcing(b, asked[1], asked[2], true), {}, 0", "new_sourcing(b, asked[1], asked[2]), {}, 0"),
    ("a floor counts what was sold under it", "wants[i] = math.max(0, seller[W.PROTECTION] - seller[W.USED]) end", "wants[i] = seller[W.PROTECTION] end"),
    ("a closed campaign is shown as open", "stock[4], may_sell(b, asked[1], asked[2])", "stock[4], true"),
    ("an explanation lets a campaign sell through any channel", "(#c.names == 0 or c.channels[channel] == true)", "true"),
    ("roles are not given", "policy[1], policy[2],\n      known", "policy[1], '',\n      known"),
)  # fmt: skip
