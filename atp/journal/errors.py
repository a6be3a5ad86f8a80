"""What the journal raises.

JournalError
├── JournalUnavailable   PostgreSQL cannot be reached or did not finish in time; an append may have been committed
├── JournalUnmigrated    the schema is missing or older than this release: run `atp migrate`
├── JournalForeign       the database is the journal of another namespace
├── JournalGap           the entries do not continue what is journaled: appending them would hide a loss
├── NotJournaled         the journal does not reach this position, or does not go back to it
├── Fenced               another drainer has claimed the partition since
└── MigrationFailed      dbmate's own words
"""


class JournalError(Exception):
    """Base of all journal errors."""


class JournalUnavailable(JournalError):
    """PostgreSQL is away, slow or refuses; after an append only the watermark tells whether it was committed."""


class JournalUnmigrated(JournalError):
    """Tables of this release are missing; `atp migrate` makes them."""


class JournalForeign(JournalError):
    """The database belongs to another namespace; the message names both."""


class JournalGap(JournalError):
    """The first entry is not the one after the watermark (R20); nothing was written."""


class NotJournaled(JournalError):
    """The position asked about lies outside of what the journal has; the message says where it ends or begins."""


class Fenced(JournalError):
    """The partition was claimed by another drainer; nothing was written, nor will be until it is claimed again."""


class MigrationFailed(JournalError):
    """A migration did not apply; the message is what dbmate printed."""
