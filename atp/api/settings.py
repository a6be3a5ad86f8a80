"""Settings of the HTTP room: limits with their unit last. Only atp/config.py reads the environment."""

from typing import Literal

from msgspec import Struct

from atp.api.admission.settings import AdmissionSettings


class JwtSettings(Struct, frozen=True):
    """Whose tokens are taken, beside API keys, and what their claims are called."""

    issuer: str
    audience: str
    jwks_url: str
    client_claim: str = "sub"
    scopes_claim: str = "scope"
    channels_claim: str = "atp_channels"
    sources_claim: str = "atp_sources"
    nbf: Literal["required", "iat"] = "required"  # iat: of an issuer that sends no nbf, a token begins when it was made
    leeway_s: int = 30
    refetch_s: float = 30.0  # of keys, at most so often (research/reliability.md §5)
    refresh_s: float = 300.0  # a key that the issuer takes back verifies nothing after this time
    fetch_timeout_s: float = 3.0
    checks_per_s: float = 1_000.0  # signatures of tokens not seen before; each takes about 0.1 ms
    tokens_max: int = 16_384  # verified tokens remembered


class ApiSettings(Struct, frozen=True):
    """Bounds of what one caller can make the process do, and how fresh its knowledge of clients is."""

    body_max_bytes: int = 65_536  # 100 lines with the longest identifiers fit
    batch_max_bytes: int = 262_144  # of a batch: 100 reservations of usual size fit several times
    events_max_bytes: int = 4_194_304  # of stock events: 1,000 of usual size fit ten times
    raw_max_bytes: int = 1_048_576  # of a vendor's message
    ticket_secrets: tuple[bytes, ...] = ()  # the first signs tickets of waiting rooms, the others are good as well
    public_url: str = ""  # where callers reach this API, for vendors that sign it; by default what they name as host
    drain_max_bytes: int = 16_777_216  # thrown away of a body that is too large, so that the 413 can be read
    body_timeout_s: float = 10.0  # a slow sender may hold a request no longer
    deadline_min_ms: int = 5  # less than this cannot be met, so it is not begun
    deadline_max_s: float = 10.0
    lame_duck_s: float = 0.5  # told to stop, it says so on every answer for this long before it closes the door
    health_timeout_s: float = 1.0
    clients_check_s: float = 1.0  # revocation has to work within 5 s (research/reliability.md §5)
    tokens_max: int = 4_096  # verified tokens remembered
    customer_key: str = ""  # customers are kept as digests under it; "" keeps them as they come
    jwt: JwtSettings | None = None  # None takes API keys only
    asyncapi: bytes = b"{}"  # the document of events, which the rooms that read and write them make
    admission: AdmissionSettings = AdmissionSettings()
    docs: bool = True  # /docs and /schema; off where the API is public
