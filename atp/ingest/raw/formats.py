"""The mappings of this deployment, and what proves that a webhook is from its vendor."""

from collections.abc import Mapping as Headers
from pathlib import Path

from msgspec import Struct

from atp.domain.posted import SignatureWrong
from atp.mapping import Mapping, MappingError, SignatureInvalid, listed, load, verify


class Formats:
    """All mappings by name: those of a folder of one's own, and the shipped ones that have no namesake there."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load all, so that a wrong one is told at the start. Raises MappingError."""
        if folder is not None and not folder.is_dir():
            raise MappingError(str(folder), "", "no folder of mappings")
        self._loaded = {name: load(name, folder) for name in listed(folder)}

    def get(self, name: str) -> Mapping | None:
        """The mapping of this name, if there is one."""
        return self._loaded.get(name)

    def secrets(self) -> set[str]:
        """Names of the settings that signatures need."""
        return {rule.secret for mapping in self._loaded.values() if (rule := mapping.spec.signature)}


class Webhooks(Struct, frozen=True):
    """Secrets by the name of their setting, and by mapping (in capitals, _ for -) its signatures' sources."""

    secrets: dict[str, list[bytes]] = {}
    sources: dict[str, list[str]] = {}

    def signs(self, mapping: Mapping) -> bool:
        """Whether callers of this mapping prove themselves by a signature; else they need a key."""
        rule = mapping.spec.signature
        return rule is not None and bool(self.secrets.get(rule.secret))

    def check(self, mapping: Mapping, headers: Headers[str, str], body: bytes, url: str, now: float) -> None:
        """Raises SignatureWrong."""
        rule = mapping.spec.signature
        assert rule is not None, "asked for a mapping that signs"
        try:
            verify(rule, self.secrets.get(rule.secret, []), headers, body, url, now)
        except SignatureInvalid as error:
            raise SignatureWrong(str(error)) from None

    def may_speak(self, mapping: Mapping, source: str) -> bool:
        """A signature proves the vendor, not the source: by default it is the one of the mapping's name."""
        return source in self.sources.get(mapping.name.upper().replace("-", "_"), [mapping.name])
