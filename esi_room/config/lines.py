"""Which line of a TOML text each value stands on.

`tomllib` gives values without lines. This walks the same text once more and notes where every table, key, array
element and inline key begins. It trusts the text to be TOML (`tomllib` has accepted it before) and checks nothing.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left

Path = tuple[str | int, ...]
"""A value's place: keys of tables and indices of arrays, from the top."""

_SPACE = re.compile(r"[ \t]*")
_FILL = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_FILL_AND_COMMA = re.compile(r"(?:[ \t\n,]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
# A text in three quotes ends at the first three; up to two more right behind them still belong to it.
_SCALAR = re.compile(
    r'''"""(?:\\.|[^\\])*?""""{0,2}'''
    r"""|\'\'\'.*?\'\'\''{0,2}"""
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    r"""|[^,\]}\n#]+""",
    re.DOTALL,
)


class Lines:
    """Line numbers, from 1, of everything in a TOML text."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._ends = [at for at, char in enumerate(self._text) if char == "\n"]
        self._at = 0
        self._lengths: dict[Path, int] = {}  # of the arrays of tables, so far
        self._found: dict[Path, int] = {(): 1}
        self._read()

    def of(self, path: Path) -> int:
        """Line of `path`; of the nearest thing that holds it where `path` itself is not in the text."""
        while path not in self._found:
            path = path[:-1]
        return self._found[path]

    def _read(self) -> None:
        table: Path = ()
        self._skip(_FILL)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_FILL)

    def _header(self) -> Path:
        """`[a.b]` or `[[a.b]]`."""
        line = self._line()
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        path = self._resolved(keys[:-1]) + keys[-1:]
        if brackets == 2:
            index = self._lengths.get(path, 0)
            self._lengths[path] = index + 1
            path = (*path, index)
        self._note(path, line)
        return path

    def _resolved(self, keys: Path) -> Path:
        """`a.b` below `[[a]]` means the latest `a`."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        """`key = value`."""
        line = self._line()
        path = table + self._keys()
        self._note(path, line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> Path:
        """`a`, `a.b`, `"a b".c`, with the space around them."""
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            token = self._skip(_KEY)
            keys.append(tomllib.loads(f"key = {token}")["key"] if token[0] in "\"'" else token)
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return tuple(keys)
            self._at += 1

    def _value(self, path: Path) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip(_FILL_AND_COMMA)
        index = 0
        while self._text[self._at] != "]":
            self._note((*path, index), self._line())
            self._value((*path, index))
            self._skip(_FILL_AND_COMMA)
            index += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip(_FILL_AND_COMMA)
        while self._text[self._at] != "}":
            self._pair(path)
            self._skip(_FILL_AND_COMMA)
        self._at += 1

    def _note(self, path: Path, line: int) -> None:
        """`a.b.c` also says where `a` and `a.b` begin, unless that is known."""
        for size in range(1, len(path) + 1):
            self._found.setdefault(path[:size], line)

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group()
