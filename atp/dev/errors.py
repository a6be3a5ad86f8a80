"""What goes wrong with a local stack; every text says what to do about it."""


class DevError(Exception):
    """Base: shown to people as one message, without a traceback."""


class ServerFailed(DevError):
    """A server or process could not be found or started, or did not answer."""


class StillUsed(DevError):
    """Somebody uses a directory and cannot be ended."""


class StateDirUnfit(DevError):
    """A state directory cannot be made, written or read."""


class StateDirTaken(DevError):
    """Another supervisor runs on this state directory."""
