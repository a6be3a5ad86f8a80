"""Messages as sources send them, and what the decoder says of them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from atp.ingest.messages import Decoder, Message
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings

NOW_US = int(datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()) * 1_000_000
NOON = "2026-11-21T09:00:00Z"
LINE = {"sku": "TSHIRT-M", "location": "DC1", "quantity": 5}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def binary(type="atp.stock.level.v1", data=None, subject="stock.v1.wms-east", sequence=7, **headers):
    """A message in binary mode; a header given as None is left out."""
    payload = data if isinstance(data, bytes) else json.dumps({"lines": [LINE]} if data is None else data).encode()
    attributes = {"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "//liar", "ce-type": type, "ce-sequence": "42"}
    attributes |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Message(subject, {k: v for k, v in attributes.items() if v is not None}, payload, sequence)


def structured(content_type="application/cloudevents+json", **attributes):
    """A message in structured mode."""
    event = {"specversion": "1.0", "id": "e-1", "source": "//liar", "type": "atp.stock.level.v1", "sequence": "42"}
    whole = {"data": {"lines": [LINE]}} | event | attributes
    body = json.dumps({k: v for k, v in whole.items() if v is not None}).encode()
    return Message("stock.v1.wms-east", {"Content-Type": content_type}, body, 7)


def decode(message) -> list[Any]:
    return list(Decoder(Settings()).decode(message, NOW_US).commands)


def rejected(message) -> tuple[Reason, str]:
    with pytest.raises(Rejected) as caught:
        decode(message)
    return caught.value.reason, caught.value.detail
