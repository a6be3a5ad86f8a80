"""What entries hold so that they bring the state back."""

MUTANTS = (
    (
        "nobody hears that a basket is followed",
        "  log(b, pack({ E.BASKETFOLLOWED, next_seq(b), b.now, '', '', c[2], seq }))\n",
        "",
    ),
    ("an opened basket does not name its call", "r[3], deadline, c[4], c[2] }", "r[3], deadline, c[4] }"),
    (
        "events are taken from an order unsaid",
        "  log(b, pack({ E.SERVED, next_seq(b), b.now, '', '', ref, kept }))\n",
        "",
    ),
    ("an event that waits is not in its entry", "until_, waits and { waits } }", "until_ }"),
    (
        "a campaign does not name its skus here",
        "version, balances, kind == 'campaign' and c[9] or nil }",
        "version, balances }",
    ),
    (
        "a page of a shortage does not say how far it went",
        "victims, short, open[8], c[6] }",
        "victims, short, open[8] }",
    ),
    ("the end of a recount is not told", "if balances[1] or c[5] then", "if balances[1] then"),
    (
        "what changed nothing makes a number fresher",
        "stock.seen(b, c, source, changed and n)",
        "stock.seen(b, c, source, n)",
    ),
)
