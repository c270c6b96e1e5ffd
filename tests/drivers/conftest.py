"""Drivers fed as the station feeds them, and the vectors as data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from esi_room.clock import NS, Stamp
from esi_room.drivers import registry
from esi_room.drivers.contract import Driver, Output, Refused, Said
from esi_room.framing import Junk, Receiver

VECTORS = Path(__file__).parent.parent / "vectors"
FOLDERS = {"nellcor_ascii": "nellcor_n560"}
"""Where a driver's folder of vectors is not named after it."""


class Fed:
    """One driver behind one receiver: bytes in, what it says out."""

    def __init__(self, driver: Driver) -> None:
        info = driver.info
        self.driver = driver
        self.receiver = Receiver(driver.grammar, max_frame_bytes=info.max_frame_bytes, inter_byte_s=info.inter_byte_s)
        self.outputs: list[Output] = []
        self.rejects: list[str] = []
        self.frame_bytes = self.junk_bytes = 0

    def __call__(self, octets: bytes, at_s: float = 0.0) -> list[Output]:
        """What these bytes make the driver say."""
        new: list[Output] = []
        for item in self.receiver.feed(octets, Stamp(0, round(at_s * NS))):
            if isinstance(item, Junk):
                self.junk_bytes += len(item.octets)
                self.rejects.append(item.reason)
            else:
                self.frame_bytes += len(item.octets)
                new += self.driver.on_frame(item.octets)
        self.rejects += [out.reason for out in new if isinstance(out, Refused)]
        self.outputs += new
        return new

    def said(self, kind: type | None = None) -> list[Any]:
        """Every payload so far, of one kind or all."""
        data = [out.data for out in self.outputs if isinstance(out, Said)]
        return [d for d in data if kind is None or type(d) is kind]


def _make(name: str, **options: Any) -> Fed:
    module = registry.load(name)
    return Fed(module.make(module.Options(**options)))


@pytest.fixture
def make() -> Callable[..., Fed]:
    """`make("ge_dri", interval_s=10)`: a driver with these options, ready to be fed."""
    return _make


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], list[dict[str, Any]]]:
    """The frames of a driver's vectors; `octets` added."""

    def load(name: str) -> list[dict[str, Any]]:
        path = VECTORS / FOLDERS.get(name, name) / "frames.jsonl"
        frames = [json.loads(line) for line in path.read_text().splitlines()]
        return [frame | {"octets": bytes.fromhex(frame["hex"])} for frame in frames]

    return load


@pytest.fixture(scope="session")
def capture() -> Callable[[str, str], bytes]:
    """`capture("nellcor_n560", "x.txt")`: a captured file, its line ends as a device sends them."""

    def load(folder: str, name: str) -> bytes:
        octets = (VECTORS / folder / name).read_bytes()
        return octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n")

    return load


@pytest.fixture(scope="session")
def by_name() -> Callable[[Iterable[Any]], dict[str, Any]]:
    """The readings of an entry by their names."""
    return lambda data: {reading.name: reading for reading in data.readings}  # type: ignore[attr-defined]
