"""Commands that are clients of a running service: where it is, and one question."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from atp.cli.errors import Refused
from atp.cli.output import printable
from atp.config import Config

_TIMEOUT_S = 10
_STATE = Path(".atp/endpoints.json")


class Api(Struct, frozen=True):
    """An API and the key to call it with."""

    url: str
    key: str

    def get(self, path: str) -> Any:
        """The decoded answer. Raises Refused with the API's own words."""
        return self._ask("GET", path, {})

    def post(self, path: str, body: dict[str, Any] | None, key: str) -> Any:
        """The decoded answer to a call that counts once under its Idempotency-Key. Raises Refused."""
        headers = {"idempotency-key": key} | ({} if body is None else {"content-type": "application/json"})
        return self._ask("POST", path, headers, None if body is None else msgspec.json.encode(body))

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the setting takes http and https only
            self.url.rstrip("/") + path, body, {"authorization": f"Bearer {self.key}"} | headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(_told(error)) from None
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"the API at {self.url} does not answer: {getattr(error, 'reason', error)}") from None


class _Fault(Struct):
    detail: str = ""
    pointer: str = ""
    parameter: str = ""
    header: str = ""


class _Problem(Struct):
    title: str = ""
    detail: str = ""
    errors: list[_Fault] = []


def find_api(config: Config, *, admin: bool = False) -> Api:
    """Of ATP_API_URL and ATP_API_KEY, else of the `atp dev` that runs in this folder. Raises Refused.

    Of the latter, what an administrator does is called with the administrator's key.
    """
    if config.api_url:
        return Api(config.api_url, config.api_key)
    key = "admin_key" if admin else "api_key"
    found = _dev_endpoints("ATP_API_URL and ATP_API_KEY", "api", key)
    return Api(found["api"], found[key])


def _dev_endpoints(variables: str, *names: str) -> dict[str, str]:
    try:
        found = msgspec.json.decode(_STATE.read_bytes(), type=dict[str, str])
        return {name: found[name] for name in names}
    except (OSError, KeyError, msgspec.DecodeError):
        raise Refused(f"set {variables}, or run this where `atp dev` runs ({_STATE})") from None


def find_stores(config: Config, *needed: str) -> Config:
    """With the settings ``needed`` (by default both stores), else the servers of the `atp dev` of this folder.

    Raises Refused, and ConfigError where a store is set that `atp dev` does not use and a needed one is not: whoever
    names a ledger means that one, not the one that happens to run here.
    """
    needed = needed or ("redis_url", "database_url")
    if all(getattr(config, name) for name in needed):
        return config
    variables = " and ".join(f"ATP_{name.upper()}" for name in needed)
    found = _dev_endpoints(variables, "redis", "postgres", "nats")
    if not {config.redis_url, config.database_url} <= {"", found["redis"], found["postgres"]}:
        config.require(*needed)
    nats = config.nats_url or found["nats"]
    return msgspec.structs.replace(config, redis_url=found["redis"], database_url=found["postgres"], nats_url=nats)


def find_nats(config: Config) -> str:
    """ATP_NATS_URL, else the server of the `atp dev` that runs in this folder. Raises Refused."""
    if config.nats_url:
        return config.nats_url
    return _dev_endpoints("ATP_NATS_URL", "nats")["nats"]


def _told(error: urllib.error.HTTPError) -> str:
    try:
        problem = msgspec.json.decode(error.read(), type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    at = [(x.pointer or x.parameter or x.header, x.detail) for x in problem.errors]
    faults = "; ".join(": ".join(filter(None, fault)) for fault in at if fault[1] != problem.detail)
    told = f"the API answered {error.code}: {problem.detail or problem.title or error.reason}"
    return printable(f"{told} ({faults})" if faults else told)
