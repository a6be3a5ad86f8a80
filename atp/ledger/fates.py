"""What may become of a sent batch other than a reply: how sure it is that nothing of it ran."""

#: Answers that prove that nothing of the batch ran, and that the same batch may succeed soon.
NOT_YET = ("LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN")
#: Answers that prove that nothing of the batch ran, and that it is not for us to fix.
REFUSED = ("MISCONF", "READONLY", "NOREPLICAS", "NOAUTH", "NOPERM", "WRONGPASS")


class Uncertain(Exception):
    """The batch was sent and may have been applied."""


class Resend(Exception):
    """Nothing ran, and what was in the way is gone."""


class NotApplied(Exception):
    """Nothing of this sending ran; the same batch may succeed soon."""


class Full(Exception):
    """Nothing ran: the server's memory is full."""


class Content(Exception):
    """The script failed on something inside the batch; nothing of it was written."""
