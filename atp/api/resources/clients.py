"""API clients and their keys over HTTP (CONTRACT ``/clients``): who may call, for what, and with which keys (R31, R34).

A key's text is in one answer and nowhere else: the ledger keeps its SHA-256.
"""

import time
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct, json, structs

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import ALREADY_EXISTS, LIMIT_EXCEEDED, NOT_FOUND, Problem, invalid, refusal
from atp.api.resources.policies import Policies, Version, check_no_more
from atp.api.resources.requests import UNIQUE, check_identifier, check_names
from atp.api.service import Service
from atp.domain.commands import PutPolicy
from atp.domain.identifiers import ID_MAX, ChannelId, SourceId
from atp.domain.keys import KEYS_MAX, Client, Quota, new_key
from atp.domain.outcomes import Outcome
from atp.domain.records import Policy
from atp.domain.times import rfc3339

#: Two admins at once are told apart by the version; who comes second looks again.
_TRIES = 5

Scope = Literal["availability:read", "reservations:write", "reservations:fulfil", "stock:write", "admin"]
ClientId = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="The client's name.")]


class QuotaBody(Quota, frozen=True, forbid_unknown_fields=True):
    """So many requests of one class, over all processes."""


class ClientBody(Struct, forbid_unknown_fields=True):
    """What a client may do."""

    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=5)]
    channels: Annotated[
        list[ChannelId],
        Meta(
            max_length=100,
            extra_json_schema=UNIQUE,
            description="Sees and changes reservations of these only; none: of all.",
        ),
    ] = []
    sources: Annotated[
        list[SourceId],
        Meta(max_length=100, extra_json_schema=UNIQUE, description="Sends stock events as these only; none: as any."),
    ] = []
    disabled: Annotated[bool, Meta(description="None of its keys is accepted.")] = False
    quotas: Annotated[
        dict[Literal["reserve", "change", "read", "bulk"], QuotaBody],
        Meta(description="By class of request; a class that is not named is not limited."),
    ] = {}


class NewClientBody(ClientBody, kw_only=True):
    """A new client."""

    id: ClientId


class KeyView(Struct):
    """A key, without its secret."""

    prefix: Annotated[str, Meta(description="The part of the key between the first two underscores.")]
    created_at: str


class ClientView(ClientBody, kw_only=True):
    """A client as it is kept."""

    id: str
    keys: list[KeyView]
    version: Version


class ClientList(Struct):
    """All clients, by id."""

    clients: list[ClientView]


class NewKeyView(KeyView, kw_only=True):
    """A new key: the only answer that has its text."""

    client: str
    key: Annotated[str, Meta(description="To be sent as Authorization: Bearer <key>. It cannot be shown again.")]


_CLIENTS = Policies("client", "id", ClientBody, check_no_more, left='{"scopes":[],"disabled":true,')
_body, _new_body = Body(ClientBody), Body(NewClientBody)
_encode = json.Encoder().encode
_decode = json.Decoder(Client).decode

delete_client = _CLIENTS.delete


async def list_clients(service: Service, call: Call) -> Answer:
    """All clients, with the prefixes of their keys."""
    found = await service.ledger.policies("client")
    return Answer(200, _encode(ClientList([_view(policy) for policy in found if not policy.deleted])))


async def get_client(service: Service, call: Call) -> Answer:
    """One client, with the prefixes of its keys."""
    return _answer(200, await _CLIENTS.found(service, call.param("id")))


async def create_client(service: Service, call: Call) -> Answer:
    """Make a client, without a key yet."""
    body = _new_body.decode(await call.body())
    check_identifier(body.id, "/id")
    _check(body)
    there = await service.ledger.policy("client", body.id)
    if there is None or there.deleted:
        client = _changed(Client([]), body)
        result = await _put(service, call, body.id, client, there.version if there else 0)
        if result is not None:
            return _answer(201, result)
    raise Problem(ALREADY_EXISTS, f"There is a client {body.id!r} already.")


async def put_client(service: Service, call: Call) -> Answer:
    """Replace what a client may do; its keys stay. `If-Match` with its version guards against another writer."""
    id = call.param("id")
    body = _body.decode(await call.body())
    _check(body)
    expected = await _CLIENTS.if_version(service, call, id)
    return _answer(200, await _change(service, call, id, lambda client: _changed(client, body), expected))


async def create_key(service: Service, call: Call) -> Answer:
    """Make a key and answer with its text, once. A client has two at most: the old and the new one of a change."""
    text, record = new_key(rfc3339(time.time_ns() // 1_000_000))

    def add(client: Client) -> Client:
        if len(client.keys) >= KEYS_MAX:
            held = ", ".join(key.prefix for key in client.keys)
            raise Problem(LIMIT_EXCEEDED, f"A client has at most {KEYS_MAX} keys: delete one first ({held}).")
        return structs.replace(client, keys=[*client.keys, record])

    kept = await _change(service, call, call.param("id"), add)
    view = NewKeyView(prefix=record.prefix, created_at=record.created_at, client=kept.id, key=text)
    return Answer(201, _encode(view))


async def delete_key(service: Service, call: Call) -> Answer:
    """Revoke a key; every API process refuses it within seconds."""
    prefix = call.param("prefix")

    def drop(client: Client) -> Client:
        kept = [key for key in client.keys if key.prefix != prefix]
        if len(kept) == len(client.keys):
            raise Problem(NOT_FOUND, "The client has no such key.")
        return structs.replace(client, keys=kept)

    await _change(service, call, call.param("id"), drop)
    return Answer(204)


async def _change(
    service: Service, call: Call, id: str, change: Callable[[Client], Client], expected: int = -1
) -> Policy:
    """Put the client as ``change`` makes it of what is there, at the ``expected`` version unless it is −1."""
    for _ in range(_TRIES):
        found = await _CLIENTS.found(service, id)
        wanted = found.version if expected < 0 else expected
        kept = await _put(service, call, id, change(_decode(found.body)), wanted, told=expected >= 0)
        if kept is not None:
            return kept
    raise Problem(ALREADY_EXISTS, "Others change this client all the time: try again.")


async def _put(
    service: Service, call: Call, id: str, client: Client, version: int, *, told: bool = False
) -> Policy | None:
    """The client as it is kept now; None if somebody was faster, which is a problem to who ``told`` a version."""
    body = _encode(client).decode()
    command = PutPolicy("client", id, body, version, client=call.principal.client, cause=call.cause)
    result = await service.ledger.put_policy(command)
    if result.outcome is Outcome.VERSION_MISMATCH and not told:
        return None
    if not result.outcome.accepted:
        raise refusal(result)
    return Policy("client", id, result.seq, body)


def _changed(client: Client, body: ClientBody) -> Client:
    return structs.replace(
        client, scopes=list(body.scopes), channels=body.channels, sources=body.sources, disabled=body.disabled,
        quotas={name: Quota(quota.rate, quota.burst) for name, quota in body.quotas.items()},
    )  # fmt: skip


def _check(body: ClientBody) -> None:
    check_names(body.channels, "/channels")
    check_names(body.sources, "/sources")
    if len(set(body.scopes)) < len(body.scopes):
        raise invalid("A scope is named twice.", pointer="/scopes")


def _view(policy: Policy) -> ClientView:
    client = _decode(policy.body)
    return ClientView(
        scopes=client.scopes,  # pyright: ignore[reportArgumentType] - whatever was put
        channels=client.channels,
        sources=client.sources,
        disabled=client.disabled,
        quotas=client.quotas,  # pyright: ignore[reportArgumentType] - the same fields
        id=policy.id,
        keys=[KeyView(key.prefix, key.created_at) for key in client.keys],
        version=policy.version,
    )


def _answer(status: int, policy: Policy) -> Answer:
    return Answer(status, _encode(_view(policy)), {"etag": f'"{policy.version}"'})
