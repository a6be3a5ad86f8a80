"""Every kind of exception is explained, and says what can be done."""

from pathlib import Path

import pytest

from atp.domain.exceptions import Kind
from atp.domain.guidance import GUIDES

REFERENCE = (Path(__file__).parents[3] / "docs/reference/exceptions.md").read_text()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_explained(kind: Kind) -> None:
    guide = GUIDES[kind]
    assert guide.meaning.endswith(".")
    assert guide.remedies
    assert all(remedy[0].isupper() and remedy.endswith(".") for remedy in guide.remedies)
    assert f"`{kind.value}`" in REFERENCE
