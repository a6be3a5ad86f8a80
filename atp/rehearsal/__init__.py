"""Rehearsal: a campaign played on a copy of today's stock and policies, on a server of its own (R36)."""
