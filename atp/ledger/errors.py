"""What the ledger raises: only broken promises of the ground, never an expected refusal (those are outcomes).

LedgerError
├── LedgerBusy          our queue is full: not applied, try later
├── LedgerUnavailable   not applied, for certain; the server cannot be reached or refuses writes
├── LedgerRecovering    not applied; the ledger is empty, behind what is known of it, or of another epoch
├── LedgerUnfit         the server's settings or version would break a promise; nothing is started on it
├── OutcomeUnknown      sent, and no answer within the deadline: it may have been applied; the same id settles it
├── BasketInProgress    another request with the same id is being decided; nothing of this one was applied
└── CrossPartition      what is asked of a basket that spans partitions is not supported
"""


class LedgerError(Exception):
    """Base of all ledger errors."""


class LedgerBusy(LedgerError):
    """The bounded queue in front of a partition is full; nothing was sent."""


class LedgerUnavailable(LedgerError):
    """The command was certainly not applied: the server is away or refuses writes."""


class LedgerRecovering(LedgerError):
    """The ledger is not the one known to this process or to the journal; nothing was applied."""


class LedgerUnfit(LedgerError):
    """The server's settings or version would break a promise; the message names the setting and the fix."""


class OutcomeUnknown(LedgerError):
    """The command was sent and its answer did not come in time; a repeat with the same id settles it."""


class BasketInProgress(LedgerError):
    """A basket over several partitions is being decided under the same id; a repeat finds the decision."""


class CrossPartition(LedgerError):
    """What was asked needs one step over several partitions, and there is none (docs/adr/0004)."""
