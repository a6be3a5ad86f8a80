"""Whatever a mapping file holds, it is loaded or refused with the file's name."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atp.mapping import MappingError, Message, Refused, load, shipped

SHIPPED = Path(__file__).parents[3] / "atp/mapping/shipped"
LINES = {name: (SHIPPED / f"{name}.toml").read_text().splitlines() for name in shipped()}
WORDS = st.sampled_from(
    ['"', "{", "}", "[", "]", "=", "[*]", "^", "$", "@", "-1", "1.5", "true", "nan", '"{a', "[]", "..", "'''", "\x00"]
) | st.text(max_size=6)


@pytest.mark.parametrize("name", LINES)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mapping_is_loaded_or_refused(name: str, tmp_path: Path, data: st.DataObject) -> None:
    lines = list(LINES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        cut = data.draw(st.integers(0, len(line)))
        how = data.draw(st.integers(0, 3))
        word = data.draw(WORDS)
        lines[at : at + 1] = [[], [line, line], [line[:cut] + word + line[cut:]], [line[:cut] + word]][how] or [""]
    file = tmp_path / "changed.toml"
    file.write_text("\n".join(lines), errors="replace")
    try:
        mapping = load(str(file))
    except MappingError as error:
        told = str(error)
    else:
        try:
            mapping.apply(Message(b'{"a": [1, {"b": null}]}'), "s")
            told = "events"
        except Refused as refused:
            told = str(refused)
    assert told
