"""Principal: a known caller, and what it may do (CONTRACT scopes, R34)."""

from collections.abc import Mapping

from msgspec import Struct

from atp.api.problems import CHANNEL_NOT_ALLOWED, FORBIDDEN, UNAUTHENTICATED, Problem
from atp.domain.keys import Quota


class Principal(Struct, frozen=True):
    """A known caller."""

    client: str
    scopes: frozenset[str]
    channels: frozenset[str] = frozenset()  # empty is all (R34)
    sources: frozenset[str] = frozenset()  # the same
    key: str = ""  # prefix of the key that was used
    quotas: Mapping[str, Quota] = {}  # by class; a class that is not named is not limited (R31)

    def require(self, scopes: tuple[str, ...]) -> None:
        """Raises Problem (403) unless the caller has one of ``scopes``."""
        if self.scopes.isdisjoint(scopes):
            raise Problem(FORBIDDEN, f"This needs the scope {' or '.join(scopes)}.")

    def sees(self, channel: str) -> bool:
        """Whether reservations of this channel exist for the caller (R34)."""
        return not self.channels or channel in self.channels

    def speaks_for(self, source: str) -> bool:
        """Whether the caller may send stock events as this source (R34)."""
        return not self.sources or source in self.sources

    def require_channel(self, channel: str) -> None:
        """Raises Problem (403) for a channel the caller is not bound to."""
        if not self.sees(channel):
            allowed = ", ".join(sorted(self.channels))
            raise Problem(CHANNEL_NOT_ALLOWED, f"This client is bound to: {allowed}. Not to: {channel}.")


def unauthenticated(detail: str, error: str = "") -> Problem:
    """A 401 with its challenge (RFC 6750 §3)."""
    challenge = f'Bearer realm="atp", error="{error}"' if error else 'Bearer realm="atp"'
    return Problem(UNAUTHENTICATED, detail, headers={"www-authenticate": challenge})
