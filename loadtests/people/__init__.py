"""People at a sale, played by locust, and a back office beside them that proves what became of every unit.

``python -m loadtests.people --shape spike`` starts an isolated service and plays; docs/guides/load-tests.md.
"""
