"""``atp bench``: what the service does beside references and peers, in alternating rounds of one run (DESIGN §9, R30).

Absolute rates drift with the machine, so what counts is ratios of neighbouring rounds, and a run whose rounds disagree
gives no verdict (``figures``). ``run`` measures HTTP, ``parts`` what has no HTTP; both make a ``report.Report``, which
``page`` (HTML), ``docs``, ``history`` and ``budgets`` read.
"""
