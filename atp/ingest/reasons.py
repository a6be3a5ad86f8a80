"""Why a message is set aside: a closed set, because people filter dead letters and dashboards count them by it."""

from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """Value of the header ``atp-reason``. Each speaks of the message itself, never of an outage (R16)."""

    # How it was sent.
    INVALID_SUBJECT = "invalid-subject"
    NOT_A_CLOUDEVENT = "not-a-cloudevent"
    INVALID_ENVELOPE = "invalid-envelope"
    UNSUPPORTED_CONTENT_TYPE = "unsupported-content-type"
    UNSUPPORTED_TYPE = "unsupported-type"

    # Its version (R14).
    VERSION_MISSING = "version-missing"
    INVALID_VERSION = "invalid-version"
    VERSION_IN_FUTURE = "version-in-future"

    # Its content.
    TOO_LARGE = "too-large"
    INVALID_JSON = "invalid-json"
    INVALID_DATA = "invalid-data"
    INVALID_IDENTIFIER = "invalid-identifier"
    DUPLICATE_LINE = "duplicate-line"
    UNDECODABLE = "undecodable"

    # What its mapping says (`mapping.Refusal`).
    UNKNOWN_MAPPING = "unknown-mapping"
    NOT_ACCEPTED = "not-accepted"
    INVALID_CSV = "invalid-csv"
    UNKNOWN_ID = "unknown-id"
    UNKNOWN_CODE = "unknown-code"
    INVALID_QUANTITY = "invalid-quantity"

    # What the ledger says of it; its other lines were applied.
    UNKNOWN_LOCATION = "unknown-location"
    MEASURE_MISMATCH = "measure-mismatch"
    TIME_MISSING = "time-missing"
    VERSION_KIND_MISMATCH = "version-kind-mismatch"
    SNAPSHOT_CONTRADICTED = "snapshot-contradicted"
    UNPROCESSABLE = "unprocessable"

    # Of events posted over HTTP only: these are told to the caller and become no dead letters.
    SOURCE_NOT_ALLOWED = "source-not-allowed"
    DUPLICATE_EVENT = "duplicate-event"


class Rejected(Exception):
    """The message fails by its own content; ``detail`` says where and what, for the one who has to mend it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
