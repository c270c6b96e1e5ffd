"""Imports go one way, downward; siblings do not know each other; drivers touch nothing but bytes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("events", "errors", "commands"),
    ("framing", "checksums", "clock", "line", "nomenclature"),
    ("links", "drivers", "record"),
    ("station", "carm", "outputs", "procedure", "config", "clockwatch"),
    ("room", "audit"),
    ("display",),
    ("cli",),
)
"""Bottom first. Units of one layer are blind to each other, except in the two lowest, which are vocabulary."""

VOCABULARY = {unit for layer in LAYERS[:2] for unit in layer}
LEVEL = {unit: n for n, layer in enumerate(LAYERS) for unit in layer}
DRIVERS_MAY_NOT = {"asyncio", "time", "logging", "structlog", "threading", "socket", "serial", "os", "subprocess"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything a file imports, at any depth; relative imports made absolute."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def unit(dotted: str) -> str | None:
    """`esi_room.drivers.ge_dri.wire` -> `drivers`; None for what is not ours, or the package itself."""
    parts = dotted.split(".")
    known = parts[0] == "esi_room" and len(parts) > 1
    return parts[1] if known and not parts[1].startswith("__") else None


OURS = [path for path in modules("esi_room") if path.relative_to(ROOT).parts[1] != "__init__.py"]


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    own = unit(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own is None or own == "__main__":
        return
    assert own in LEVEL, f"{own} has no place in the layers"
    for dotted in imported(path):
        other = unit(dotted)
        if other is None or other == own:
            continue
        if own in VOCABULARY:
            assert other in VOCABULARY, f"{path.name} imports {dotted}"
        else:
            assert LEVEL[other] < LEVEL[own], f"{path.name} imports {dotted}"


@pytest.mark.parametrize("path", modules("simulators"), ids=lambda path: str(path.relative_to(ROOT)))
def test_simulators_know_nothing_of_the_daemon(path: Path) -> None:
    assert not [dotted for dotted in imported(path) if dotted.split(".")[0] == "esi_room"]


@pytest.mark.parametrize("path", modules("esi_room"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_daemon_knows_nothing_of_the_simulators(path: Path) -> None:
    assert not [dotted for dotted in imported(path) if dotted.split(".")[0] == "simulators"]


@pytest.mark.parametrize("path", modules("esi_room/drivers"), ids=lambda path: str(path.relative_to(ROOT)))
def test_drivers_reach_for_nothing_but_bytes(path: Path) -> None:
    assert not {dotted.split(".")[0] for dotted in imported(path)} & DRIVERS_MAY_NOT


def test_only_links_know_pyserial() -> None:
    knowing = {path for path in modules("esi_room") for dotted in imported(path) if dotted.split(".")[0] == "serial"}
    assert {unit(".".join(path.relative_to(ROOT).parts)) for path in knowing} <= {"links"}


def test_only_the_clock_reads_the_time() -> None:
    readers = {path.name for path in OURS for dotted in imported(path) if dotted.split(".")[0] == "time"}
    assert readers <= {"clock.py"}
