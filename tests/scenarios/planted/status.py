"""Units that cannot be sold."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("unsellable units are sold", "return n[N_NUMBER] - n[N_UNSELLABLE] - promised", "return n[N_NUMBER] - promised"),
    ("unsellable units are not shown", "if n then t[3], t[4] = n[N_NUMBER], n[N_UNSELLABLE] end", "if n then t[3] = n[N_NUMBER] end"),
    ("an older status wins", "last[1] and (version_less(version, last) or", "last[1] and (false or"),
    ("the tie of equal statuses is ignored", "last[1] and (version_less(version, last) or (not version_less(last, version) and c[9] <= last[4]))", "last[1] and (version_less(version, last) or not version_less(last, version))"),
    ("a status makes a level stale", "n[N_STATUS] = { version[1], version[2], version[3], c[9] }", "n[N_VERSION], n[N_STATUS] = version, { version[1], version[2], version[3], c[9] }"),
    ("a status says when the number was true", "c[9] }\n  stock.seen(b, c, source)\n", "c[9] }\n  stock.seen(b, c, source, n)\n"),
    ("a shortage by a status is not reported", "shortage.report(b, c[2], c[3], c[11], before)", ""),
    ("other measures subtract unsellable units", "return n[N_NUMBER] - promised + (measure", "return n[N_NUMBER] - n[N_UNSELLABLE] - promised + (measure"),
)  # fmt: skip
