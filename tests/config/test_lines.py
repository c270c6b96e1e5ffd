"""Line numbers of everything in a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from esi_room.config.lines import Lines, Path

TEXT = '''# a remark with [brackets] and a "quote"
top.dotted = 1
several = """
[not.a.table]
key = 1
"""""
list = [ # ] not yet
  1,
  { q = "}", "w x" = [3,
    4] },
]
[room]
id = 'a # b' # c
[[device]]
id = "one"
[device.line]
baud = 1
[[device]]
id = "two"
[device."o.p"]
literal = \'\'\'
[[device]]
\'\'\'
when = 1979-05-27 07:32:00
[[device.peer]]
[[device.peer]]
z = 1
'''


def test_every_kind_of_toml() -> None:
    lines = Lines(TEXT)
    expected: dict[Path, int] = {
        ("top", "dotted"): 2,
        ("several",): 3,
        ("list",): 7,
        ("list", 0): 8,
        ("list", 1): 9,
        ("list", 1, "q"): 9,
        ("list", 1, "w x"): 9,
        ("list", 1, "w x", 1): 10,
        ("room",): 12,
        ("room", "id"): 13,
        ("device",): 14,
        ("device", 0, "id"): 15,
        ("device", 0, "line", "baud"): 17,
        ("device", 1): 18,
        ("device", 1, "o.p", "literal"): 21,
        ("device", 1, "o.p", "when"): 24,
        ("device", 1, "peer", 0): 25,
        ("device", 1, "peer", 1, "z"): 27,
    }
    assert {path: lines.of(path) for path in expected} == expected


def test_what_is_not_there_has_the_line_of_what_holds_it() -> None:
    lines = Lines(TEXT)
    assert lines.of(("room", "timezone")) == 12
    assert lines.of(("device", 1, "port")) == 18
    assert lines.of(("mqtt", "url")) == 1


def test_windows_line_ends() -> None:
    assert Lines("[room]\r\n\r\nid = 1\r\n").of(("room", "id")) == 3


def test_an_empty_text() -> None:
    assert Lines("").of(("room",)) == 1


scalars = st.one_of(
    st.integers(-9, 9).map(str),
    st.sampled_from(["true", "1.5", "1979-05-27T07:32:00Z", "07:32:00"]),
    st.text('ab#[]{}=,." \\\n', max_size=8).map(lambda t: '"' + t.translate({34: '\\"', 92: "\\\\", 10: "\\n"}) + '"'),
    st.text('ab#[]{}=,.\\" ', max_size=8).map(lambda t: f"'{t}'"),
    st.text("ab#[]{}=,\n", max_size=8).map(lambda t: f'"""{t}"""'),
    st.text('ab#[]{}=,\n"', max_size=8).map(lambda t: f"'''{t}'''"),
)
fill = st.sampled_from(["", " ", "\n", " # ] } note\n", "\n\n"])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(st.tuples(fill, inner, fill), max_size=3).map(
            lambda items: "[" + ",".join(f"{a}{value}{b}" for a, value, b in items) + "]"
        ),
        st.lists(inner, max_size=3).map(
            lambda items: (
                "{" + ",".join(f" k{n} = {value.replace(chr(10), ' ')}" for n, value in enumerate(items)) + "}"
            )
        ),
    ),
    max_leaves=6,
)
tables = st.lists(st.tuples(st.sampled_from(["[[a]]", "[[a.b]]", "[[c]]"]), st.lists(values, max_size=3)), max_size=5)


def _paths(value: Any, path: Path = ()) -> list[Path]:
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path] + [found for key, child in inner for found in _paths(child, (*path, key))]


@given(tables)
def test_every_value_of_any_toml_has_a_line_of_its_own(parts: list[tuple[str, list[str]]]) -> None:
    text = ""
    for header, body in parts:
        text += f"{header} # x\n" + "".join(f"v{n} = {value}\n" for n, value in enumerate(body))
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # [[a.b]] before [[a]], a remark swallowed by a joined line: no TOML
    lines = Lines(text)
    numbers = []
    for path in _paths(raw):
        assert path in lines._found
        numbers.append(lines.of(path))
    assert all(1 <= number <= text.count("\n") + 1 for number in numbers)


@given(st.lists(st.tuples(values, fill), max_size=6))
def test_the_line_is_the_one_the_key_stands_on(items: list[tuple[str, str]]) -> None:
    text, expected = "", {}
    for index, (value, gap) in enumerate(items):
        text += gap if not gap or gap.endswith("\n") else ""
        expected[f"key{index}"] = text.count("\n") + 1
        text += f"key{index} = {value}\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = Lines(text)
    assert {key: lines.of((key,)) for key in expected} == expected
