"""What every driver owes, held against all of them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esi_room.drivers import registry
from esi_room.drivers.contract import Ask, Identified, Refused, Said
from esi_room.events import BY_TYPE, DeviceAlarm, PumpStatus, VitalsNumeric
from esi_room.framing import Drop, Skip, Take

NAMES = sorted(registry.DRIVERS)
VECTORS = Path(__file__).parent.parent / "vectors"
VECTOR_FOLDERS = {"nellcor_ascii": "nellcor_n560"}

FILLING = {"ge_dri": b"\x7e"}
"""What may leave uncounted: flags between frames. No other driver here drops anything."""

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("ge_dri", {"waveforms": ("ECG1", "PLETH"), "level": 10, "checksum": "escaped"}),
    ("new_era", {"mode": "safe", "address": 12}),
    ("new_era", {"force_basic": True}),
]
IDS = [f"{name}-{'-'.join(options) or 'default'}" for name, options in VARIANTS]

every_driver = pytest.mark.parametrize("name", NAMES)
every_variant = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)


def folder(name: str) -> Path:
    return VECTORS / VECTOR_FOLDERS.get(name, name)


def wire_samples(name: str) -> Iterator[bytes]:
    """Everything that a driver's device (or its host) put on the wire in the vectors."""
    for line in (folder(name) / "frames.jsonl").read_text().splitlines():
        yield bytes.fromhex(json.loads(line)["hex"])
    for path in sorted(folder(name).glob("*")):
        if path.name.startswith(("capture", "rad8")):
            yield path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@every_driver
def test_the_nameplate_is_complete(name: str) -> None:
    info = registry.load(name).INFO
    assert info.name == name
    for text in (info.maker, info.models, info.document, info.integrity, info.notes):
        assert text.strip()
    assert info.max_silence_s > 0
    assert info.max_frame_bytes > 0
    assert bool(info.sends) == (info.tick_s is not None), "it asks if and only if it is ticked"
    assert all(octets and purpose for octets, purpose in info.sends.items())


@every_driver
def test_the_docstring_draws_the_wire(name: str) -> None:
    module = registry.load(name)
    text = module.__doc__ or ""
    assert re.search(r"^Document: ", text, re.MULTILINE)
    assert str(module.INFO.line.baud) in text
    assert len(re.findall(r"^ {4}\S", text, re.MULTILINE)) >= 4, "no picture"


@every_driver
def test_the_default_nameplate_is_that_of_the_default_options(name: str) -> None:
    module = registry.load(name)
    driver = module.make(module.Options())
    assert driver.info == module.INFO
    assert msgspec.convert({}, module.Options) == module.Options()
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"no_such_option": 1}, module.Options)


@every_driver
def test_it_has_vectors_and_says_where_they_are_from(name: str) -> None:
    assert (folder(name) / "SOURCE.txt").read_text().strip()
    assert any(True for _ in wire_samples(name))


@every_variant
def test_nothing_is_asked_that_the_nameplate_does_not_list(make: Any, name: str, options: Any) -> None:
    fed, rng, now_s = make(name, **options), random.Random(7), 0.0
    samples = list(wire_samples(name))
    asked: set[bytes] = set()
    for _ in range(3000):
        now_s += rng.choice((0.05, 0.3, 1.0, 5.0, 30.0))
        octets = rng.choice(samples) if rng.random() < 0.7 else rng.randbytes(20)
        out = [*(fed.driver.on_open() if rng.random() < 0.01 else ()), *fed(octets, now_s)]
        ticked = fed.driver.on_tick(now_s)
        assert all(isinstance(ask, Ask) for ask in ticked)
        for ask in (*out, *ticked):
            if isinstance(ask, Ask):
                asked.add(ask.octets)
                if rng.random() < 0.9:
                    fed.driver.on_sent(ask.octets)
    assert asked <= set(fed.driver.info.sends)
    if "force_basic" not in options:
        assert asked == set(fed.driver.info.sends), "the nameplate lists what is never asked"


@every_variant
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(octets=st.binary(max_size=400))
def test_random_octets_never_raise_and_are_accounted_for(make: Any, name: str, options: Any, octets: bytes) -> None:
    fed = make(name, **options)
    for out in fed.driver.on_frame(octets):
        assert isinstance(out, Refused), "random octets are no frame"
    fed(octets)
    dropped = len(octets) - fed.frame_bytes - fed.junk_bytes - fed.receiver.pending
    assert 0 <= dropped <= octets.count(FILLING.get(name, b"never"))


@every_variant
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(data=st.data())
def test_garbled_frames_never_raise(make: Any, name: str, options: Any, data: st.DataObject) -> None:
    fed = make(name, **options)
    frame = bytearray(data.draw(st.sampled_from(list(wire_samples(name)))))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    fed.driver.on_tick(0.0)
    fed.driver.on_frame(bytes(frame))
    fed(bytes(frame))


@every_variant
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(octets=st.binary(min_size=1, max_size=200), more=st.binary(max_size=50))
def test_a_grammar_stands_by_what_it_said(make: Any, name: str, options: Any, octets: bytes, more: bytes) -> None:
    """Only NEED_MORE may change when more bytes follow; junk and filling may only grow."""
    judge = make(name, **options).driver.grammar
    before, after = judge(octets), judge(octets + more)
    if isinstance(before, Take):
        assert after == before
    elif isinstance(before, Skip):
        assert isinstance(after, Skip)
        assert after.reason == before.reason
        assert after.size >= before.size
    elif isinstance(before, Drop):
        assert isinstance(after, Drop)


@every_driver
@pytest.mark.parametrize("step", [1, 3, 17])
def test_the_split_of_all_vectors_changes_nothing(make: Any, name: str, step: int) -> None:
    stream = b"".join(wire_samples(name))
    whole, split = make(name), make(name)
    whole(stream)
    for at in range(0, len(stream), step):
        split(stream[at : at + step])
    assert split.outputs == whole.outputs
    assert (split.frame_bytes, split.junk_bytes) == (whole.frame_bytes, whole.junk_bytes)


@every_driver
def test_noise_between_frames_costs_no_frame(make: Any, name: str) -> None:
    clean, noisy = make(name), make(name)
    # Each device's own delimiter ends the noise: without one it would be the start of the next frame.
    delimiter = {"ge_dri": b"\x7e", "new_era": b""}.get(name, b"\r\n")
    for sample in wire_samples(name):
        clean(sample)
        noisy(b"\x00\x11\x13\xff\x80" + delimiter + sample)
    assert noisy.said() == clean.said()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", NAMES)
def test_another_devices_octets_say_nothing(make: Any, name: str, other: str) -> None:
    if name == other:
        return
    fed = make(name)
    for ask in fed.driver.on_tick(0.0):
        fed.driver.on_sent(ask.octets)
    for sample in wire_samples(other):
        fed(sample)
    assert fed.said() == []
    assert not any(isinstance(out, Identified) for out in fed.outputs)


@every_driver
def test_reopening_forgets_everything(make: Any, name: str) -> None:
    fresh, used = make(name), make(name)
    stream = b"".join(wire_samples(name))
    used(stream)
    used.driver.on_open()
    used.outputs.clear()
    used.receiver.flush("reopened")
    fresh(stream)
    used(stream)
    assert used.outputs == fresh.outputs


@every_driver
def test_what_is_said_can_be_written(make: Any, name: str) -> None:
    fed = make(name)
    for ask in fed.driver.on_tick(0.0):
        fed.driver.on_sent(ask.octets)
    for sample in wire_samples(name):
        fed(sample)
        for ask in fed.driver.on_tick(1e9):
            fed.driver.on_sent(ask.octets)
    assert any(isinstance(out, Said) for out in fed.outputs)
    for data in fed.said():
        assert BY_TYPE[data.TYPE] is type(data)
        json.loads(msgspec.json.encode(data))
        if isinstance(data, VitalsNumeric):
            _check_readings(data)
        if isinstance(data, PumpStatus):
            assert data.stale_after_s is not None
        if isinstance(data, DeviceAlarm):
            assert data.code and data.text


def _check_readings(data: VitalsNumeric) -> None:
    names = [reading.name for reading in data.readings]
    assert len(names) == len(set(names)), "one name, one reading"
    codes = [reading.code for reading in data.readings]
    assert len(codes) == len(set(codes)), "one code, one reading"
    for reading in data.readings:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", reading.name)
        assert reading.unit
        assert (reading.value is None) == (reading.status not in {"ok", "questionable"})
        assert reading.status == "ok" or reading.flags, "what is not ok says why"
