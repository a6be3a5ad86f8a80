"""Identities that several processes must derive alike: buckets, partitions, reservation ids, digests.

A reservation's id is the 15-bit bucket of its first sku, in order of code points, and a digest of client and
Idempotency-Key (DESIGN §4 "Ids", R39). The repeat of a request therefore finds the record itself, and because the
bucket rather than the partition is inside, the number of partitions may change at a rebuild.
"""

from binascii import b2a_base64
from functools import lru_cache
from hashlib import blake2b
from zlib import crc32

BUCKETS = 1 << 15
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = {letter: digit for digit, letter in enumerate(_BASE32)}
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

#: Largest integer that Lua numbers hold exactly; digests on the wire stay below it.
EXACT = 1 << 53


def bucket_of(sku: str) -> int:
    """The sku's hash bucket, 0…32767: the same in every process and release."""
    return crc32(sku.encode()) & (BUCKETS - 1)


def partition_of(sku: str, partitions: int) -> int:
    """The partition that holds everything about this sku."""
    return bucket_of(sku) % partitions if partitions > 1 else 0


def reservation_id(client: str, key: str, first_sku: str) -> str:
    """19 characters: three for the bucket, sixteen (96 bits) for the digest of client and key."""
    digest = blake2b(b"%d:%b%b" % (len(client), client.encode(), key.encode()), digest_size=12).digest()
    return _bucket_text(first_sku) + b2a_base64(digest, newline=False).translate(_URL_SAFE).decode()


@lru_cache(maxsize=4096)  # a sale has few skus that sell fast
def _bucket_text(sku: str) -> str:
    bucket = bucket_of(sku)
    return _BASE32[bucket >> 10] + _BASE32[bucket >> 5 & 31] + _BASE32[bucket & 31]


def identity_of(reservation: str) -> str:
    """The part of an id that client and Idempotency-Key make alone: one key has one record, whatever it asks for."""
    return reservation[3:]


def reservation_partition(reservation: str, partitions: int) -> int | None:
    """The partition of a reservation id, or None if the text cannot be one (so: not found, nothing to ask)."""
    if len(reservation) != 19:
        return None
    try:
        bucket = _DIGITS[reservation[0]] << 10 | _DIGITS[reservation[1]] << 5 | _DIGITS[reservation[2]]
    except KeyError:
        return None
    return bucket % partitions


def digest53(*parts: bytes | str) -> int:
    """A 53-bit digest, which crosses the Lua border exactly; parts are length-prefixed, so joining never collides."""
    whole = b""
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        whole += b"%d:%b" % (len(raw), raw)
    return int.from_bytes(blake2b(whole, digest_size=8).digest()) >> 11


def shipment_digest(shipment: str) -> int:
    """One shipment is the same whoever tells of it, by HTTP or NATS; never 0, which is no shipment."""
    return digest53("shipment", shipment) or 1


def position_in(event_id: str) -> tuple[int, int]:
    """Partition and seq that the id of one of our events begins with; (-1, 0) of a foreign one."""
    parts = event_id.split(":")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return -1, 0
    return int(parts[0]), int(parts[1])
