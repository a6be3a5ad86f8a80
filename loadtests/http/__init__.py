"""Measures over HTTP are ``atp bench``; ``python -m loadtests.http`` is a short way to some of their rows."""
