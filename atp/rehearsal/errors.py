"""Why there is no rehearsal."""


class RehearsalRefused(Exception):
    """It cannot be done safely, or not as asked; the message says why, and what to do. Nothing was changed."""
