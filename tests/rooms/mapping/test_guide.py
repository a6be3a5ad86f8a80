"""The guide's own blocks, run in the order in which they stand; and the reference, which must name every key."""

import re
from pathlib import Path

import msgspec
import pytest

from atp.cli.app import run
from atp.mapping import MappingError, Refusal, Refused, load, spec
from tests.rooms.mapping.vendors import message

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "guides/write-a-mapping.md").read_text()
REFERENCE = (DOCS / "reference/mapping.md").read_text()

_BLOCK = re.compile(r"^<!-- (.+?) -->\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_guide_says_what_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = 0
    for name, text in _BLOCK.findall(GUIDE):
        if name.endswith("try"):
            assert run(["mapping", "test", "lagerix.toml", "message.json"]) == 0
            assert capsys.readouterr().out == text
            tried += 1
        elif name.startswith("refused: "):
            body = _changed(Path("message.json").read_text(), name.removeprefix("refused: "))
            with pytest.raises(Refused) as refused:
                load("lagerix.toml").apply(message(body.encode()), "s")
            assert f"{refused.value}\n" == text
            tried += 1
        elif name.startswith("wrong: "):
            changed = _changed(Path("lagerix.toml").read_text(), name.removeprefix("wrong: "))
            Path("lagerix.toml").write_text(changed)
            with pytest.raises(MappingError) as error:
                load("lagerix.toml")
            assert f"{error.value}\n" == text
            tried += 1
        else:
            Path(name).write_text(text)
    assert tried == 4


def _changed(text: str, how: str) -> str:
    """``old -> new``."""
    old, _, new = how.partition(" -> ")
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize("table", [getattr(spec, name) for name in dir(spec) if name[0].isupper()], ids=str)
def test_the_reference_names_every_key(table: object) -> None:
    if not (isinstance(table, type) and issubclass(table, msgspec.Struct) and table is not msgspec.Struct):
        return
    for field in msgspec.structs.fields(table):
        assert f"`{field.encode_name}`" in REFERENCE or f"{field.encode_name}," in REFERENCE, field.encode_name


def test_the_reference_names_every_reason() -> None:
    for reason in Refusal:
        assert f"`{reason}`" in REFERENCE
