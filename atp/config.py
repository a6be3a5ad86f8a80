"""Settings from the environment, and the only reader of it (research/style.md §5.9).

Every setting may also come from a file, named by the same variable with ``_FILE`` behind it, so that secrets can be
mounted. ``load`` gives the values or says precisely what is wrong; ``describe`` tells where each came from, masked.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

PREFIX = "ATP_"
_FILE = "_FILE"
_WEBHOOK_SECRET = "ATP_WEBHOOK_SECRET_"  # noqa: S105 - the beginning of their names
_MASK = "***"

#: Characters of a secret that signs.
SECRET_MIN = 32


class ConfigError(Exception):
    """One or more settings are wrong; each line of the text names its variable."""


class Config(Struct, frozen=True, kw_only=True):
    """The values. URLs are "" when not set: a command asks for those it needs with ``require``."""

    redis_url: str = ""
    nats_url: str = ""
    database_url: str = ""
    rehearsal_redis_url: str = ""
    api_url: str = ""
    api_key: str = ""
    namespace: str = "atp"
    partitions: int = 1
    durability: Literal["fsync", "replica", "journal"] = "fsync"
    unproven_server: Literal["refuse", "allow"] = "refuse"
    on_loss: Literal["closed", "open"] = "closed"
    journal_days: int = 0
    journal_old: Literal["keep", "drop"] = "keep"
    baseline_hours: int = 24
    outbox_max: int = 2_000_000
    ticket_secrets: str = ""
    public_url: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    docs: Literal["on", "off"] = "off"
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwks_url: str = ""
    jwt_client_claim: str = "sub"
    jwt_scopes_claim: str = "scope"
    jwt_channels_claim: str = "atp_channels"
    jwt_sources_claim: str = "atp_sources"
    jwt_nbf: Literal["required", "iat"] = "required"
    customer_key: str = ""
    mappings_dir: str = ""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    log_level: str = "info"
    log_format: Literal["auto", "json", "console"] = "auto"

    def require(self, *fields: str) -> None:
        """Raise ConfigError unless each of these URLs is set."""
        missing = [name for name in fields if not getattr(self, name)]
        if missing:
            raise ConfigError("\n".join(f"{_variable(name)}: not set, and this command needs it" for name in missing))


class Shown(Struct, frozen=True):
    """One setting as people may see it."""

    name: str
    value: str
    source: str  # "env", "file <path>" or "default"
    help: str


class _Setting(Struct, frozen=True):
    """How one variable is read: ``parse`` raises ValueError with what it expected."""

    name: str
    help: str
    parse: Callable[[str], Any]
    url: bool = False  # carries a password: never shown, not even when it is wrong
    secret: bool = False  # nothing of it is ever shown


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"expected a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return text

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected {' or '.join(choices)}")
        return text

    return parse


def _namespace(text: str) -> str:
    # It becomes part of every key, between braces, and of a NATS subject.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text):
        raise ValueError("expected 1 to 32 letters, digits, _ or -")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,255}", text):
        raise ValueError("expected a host name or an address")
    return text


def _jwks_url(text: str) -> str:
    parts = urlsplit(text)
    loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise ValueError("expected a URL that starts with https://; http:// is for this machine only")
    if parts.username or parts.password:
        raise ValueError("expected a URL without user and password: what it gives is public")
    return text


def _claim(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,128}", text):
        raise ValueError("expected the name of a claim")
    return text


def _key(text: str) -> str:
    if len(text) < 32:
        raise ValueError("expected 32 characters or more, such as those of: openssl rand -hex 32")
    return text


def _secrets(text: str) -> str:
    if any(len(secret) < SECRET_MIN for secret in split(text)):
        raise ValueError(f"expected secrets of at least {SECRET_MIN} characters, with commas or lines between them")
    return text


def split(text: str) -> list[str]:
    """The parts of a setting that has several, between commas or on lines."""
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


def _no_cluster(text: str) -> None:
    raise ValueError("a cluster is not supported in this release; use ATP_REDIS_URL with one primary")


_LEVELS = ("debug", "info", "warning", "error")

# What Kubernetes sets by itself for a service called "atp", or "atp-…". So the HTTP port is not ATP_PORT.
_KUBERNETES = re.compile(r"ATP_(.*_)?(PORT|PORT_\d+_.*|SERVICE_HOST|SERVICE_PORT|SERVICE_PORT_.*)")
_SETTINGS = (
    _Setting("REDIS_URL", "the ledger: redis://[user:password@]host:port/db", _url("redis", "rediss"), url=True),
    _Setting("REDIS_CLUSTER", "first nodes of a cluster, instead of ATP_REDIS_URL", _no_cluster, url=True),
    _Setting("NATS_URL", "events: nats://[user:password@|token@]host:port", _url("nats", "tls", "ws", "wss"), url=True),
    _Setting("DATABASE_URL", "the journal: postgres://…", _url("postgres", "postgresql"), url=True),
    _Setting(
        "REHEARSAL_REDIS_URL",
        "where atp rehearse keeps its copy, never the live ledger's server; else an embedded one",
        _url("redis", "rediss"),
        url=True,
    ),
    _Setting("API_URL", "the API, for commands that are its clients: https://…", _url("http", "https"), url=True),
    _Setting("API_KEY", "the key they call it with", str, secret=True),
    _Setting("NAMESPACE", "begins every key and names one deployment", _namespace),
    _Setting("PARTITIONS", "fixed when the ledger is created", _whole(1, 4096)),
    _Setting("DURABILITY", "what an acknowledged change survives", _one_of("fsync", "replica", "journal")),
    _Setting(
        "UNPROVEN_SERVER",
        "a ledger's server not known to be free of the torn-MULTI bug",
        _one_of("refuse", "allow"),
    ),
    _Setting(
        "ON_LOSS", "after a rebuild that misses changes: stay closed for reserve, or open", _one_of("closed", "open")
    ),
    _Setting("JOURNAL_DAYS", "days that entries stay, 0 for ever; atp migrate tells the journal", _whole(0, 36_500)),
    _Setting("JOURNAL_OLD", "older days: keep as tables of their own, or drop", _one_of("keep", "drop")),
    _Setting("BASELINE_HOURS", "between two baselines that drain makes, 0 for none", _whole(0, 8760)),
    _Setting("OUTBOX_MAX", "entries that wait in the ledger for a journal that is away", _whole(1_000, 100_000_000)),
    _Setting(
        "TICKET_SECRETS",
        "signs tickets of waiting rooms; a second one, behind a comma, is still good",
        _secrets,
        secret=True,
    ),
    _Setting("PUBLIC_URL", "where vendors reach the API, for those that sign it: https://…", _url("http", "https")),
    _Setting("HTTP_HOST", "address of the API", _host),
    _Setting("HTTP_PORT", "port of the API", _whole(1, 65535)),
    _Setting("DOCS", "whether /docs and /schema are served; atp dev serves them", _one_of("on", "off")),
    _Setting("JWT_ISSUER", "takes bearer tokens (JWT) of this issuer beside API keys: their iss", str),
    _Setting("JWT_AUDIENCE", "their aud", str),
    _Setting("JWKS_URL", "where the issuer publishes its keys: https://…", _jwks_url, url=True),
    _Setting("JWT_CLIENT_CLAIM", "their claim that names the client", _claim),
    _Setting("JWT_SCOPES_CLAIM", "their claim with scopes: a list, or words", _claim),
    _Setting("JWT_CHANNELS_CLAIM", "their claim with the channels a client is bound to", _claim),
    _Setting("JWT_SOURCES_CLAIM", "their claim with the sources a client may speak for", _claim),
    _Setting("JWT_NBF", "iat takes tokens without nbf from when they were made", _one_of("required", "iat")),
    _Setting("CUSTOMER_KEY", "customers are kept as digests under this key: 32 or more characters", _key, secret=True),
    _Setting("MAPPINGS_DIR", "folder with mappings of your own, found by name before those that come with atp", str),
    _Setting("METRICS_HOST", "address of the metrics of ingest and drain", _host),
    _Setting("METRICS_PORT", "its port, 0 for none; the API has /metrics on its own port", _whole(0, 65535)),
    _Setting("LOG_LEVEL", "least severe line that is written", _one_of(*_LEVELS)),
    _Setting("LOG_FORMAT", "auto is console on a terminal, else json", _one_of("auto", "json", "console")),
)


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Read all settings. Raises ConfigError that names every wrong variable."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for setting in _SETTINGS:
        text = ""
        try:
            text, source = _read(setting, environ)
            if source != "default":
                values[setting.name.lower()] = setting.parse(text)
        except ValueError as error:
            got = f", got {text!r}" if text and not (setting.url or setting.secret) else ""
            wrong.append(f"{PREFIX}{setting.name}: {error}{got}")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return Config(**values)


#: Settings that have as many names as there are mappings.
_SECRET, _SOURCES = _WEBHOOK_SECRET.removeprefix(PREFIX), "WEBHOOK_SOURCES_"


def webhook_sources(environ: Mapping[str, str] = os.environ) -> dict[str, list[str]]:
    """By the mapping's name, in capitals and with _ for -: the sources that its signatures may speak for.

    They stand between commas or on lines. Raises ConfigError.
    """
    sources: dict[str, list[str]] = {}
    for setting in _webhook_settings(environ):
        if setting.secret:
            continue
        try:
            text = _read(setting, environ)[0]
        except ValueError as error:
            raise ConfigError(f"{PREFIX}{setting.name}: {error}") from None
        if parts := split(text):
            sources[setting.name.removeprefix(_SOURCES)] = parts
    return sources


def _webhook_settings(environ: Mapping[str, str]) -> list[_Setting]:
    names = {name.removeprefix(PREFIX).removesuffix(_FILE) for name in environ if name.startswith(PREFIX)}
    return [
        _Setting(name, "proves webhooks of a mapping", str, secret=True)
        if name.startswith(_SECRET)
        else _Setting(name, "sources that signatures of a mapping may speak for", str)
        for name in sorted(names)
        if name.startswith((_SECRET, _SOURCES))
    ]


def describe(environ: Mapping[str, str] = os.environ) -> list[Shown]:
    """All settings with value and source, secrets masked. Raises ConfigError as ``load`` does."""
    config = load(environ)
    shown = []
    for setting in _SETTINGS:
        _, source = _read(setting, environ)
        value = str(getattr(config, setting.name.lower(), ""))
        shown.append(Shown(PREFIX + setting.name, _shown(setting, value), source, setting.help))
    for setting in _webhook_settings(environ):
        value, source = _read(setting, environ)
        shown.append(Shown(PREFIX + setting.name, _shown(setting, value), source, setting.help))
    return shown


def _shown(setting: _Setting, value: str) -> str:
    if setting.secret:
        return _MASK if value else ""
    return mask(value) if setting.url else value


def unknown(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that look like settings and are none: likely misspelt."""
    names = {PREFIX + setting.name for setting in (*_SETTINGS, *_webhook_settings(environ))}
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name.removesuffix(_FILE) not in names and not _KUBERNETES.fullmatch(name)
    )


def webhook_secrets(name: str, environ: Mapping[str, str] = os.environ) -> list[bytes]:
    """The secrets of one vendor's webhooks, by the name that a mapping gives; none when it is not set.

    There are two, a line each, while the vendor changes from the old one to the new one. Raises ConfigError.
    """
    if not name.startswith(_WEBHOOK_SECRET):
        raise ConfigError(f"{name}: no secret of webhooks; their names begin with {_WEBHOOK_SECRET}")
    try:
        text, _ = _read(_Setting(name.removeprefix(PREFIX), "", str, secret=True), environ)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    return [line.strip().encode() for line in text.splitlines() if line.strip()]


def as_environment(config: Config) -> dict[str, str]:
    """The variables that make ``load`` give ``config`` again."""
    values = {setting.name: getattr(config, setting.name.lower(), "") for setting in _SETTINGS}
    return {PREFIX + name: str(value) for name, value in values.items()}


def child_environment(changes: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Our environment for a child process, with other settings: a ``_FILE`` must not contradict a changed value."""
    kept = {name: value for name, value in environ.items() if name.removesuffix(_FILE) not in changes}
    return {**kept, **changes}


def mask(text: str) -> str:
    """A URL, or several between commas, that may be shown: no password, no token."""
    return ",".join(_mask_one(url) for url in re.split(r",(?=[a-z]+://)", text))


def _mask_one(url: str) -> str:
    scheme, sep, rest = url.partition("://")
    userinfo, at, host = rest.rpartition("@")
    if at:
        user, colon, _ = userinfo.partition(":")
        # Without a colon it is a user's name, except for NATS, where it is a token.
        shown = f"{user}:{_MASK}" if colon else user if scheme.startswith(("postgres", "redis")) else _MASK
        rest = f"{shown}@{host}"
    return scheme + sep + re.sub(r"(?i)([?&][^=&]*(?:password|token|secret)[^=&]*=)[^&]*", rf"\1{_MASK}", rest)


def _read(setting: _Setting, environ: Mapping[str, str]) -> tuple[str, str]:
    """The text of a setting and where it came from; an empty variable counts as not set."""
    name = PREFIX + setting.name
    direct, path = environ.get(name, ""), environ.get(name + _FILE, "")
    if direct and path:
        raise ValueError(f"set both directly and by {name}{_FILE}; keep one")
    if direct:
        return direct, "env"
    if path:
        try:
            return Path(path).read_text().strip(), f"file {path}"
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read {path} named by {name}{_FILE} ({error.__class__.__name__})") from None
    return "", "default"


def _variable(field: str) -> str:
    return PREFIX + field.upper()
