"""The GE monitor: its bytes against the specification's, its manners over a real serial client."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from simulators.faults import Faults
from simulators.monitors import bedside, dri_subscription
from simulators.monitors import dri_records as dri
from simulators.monitors.bedside import Bedside
from simulators.monitors.dri_subscription import Subscription
from simulators.monitors.dri_values import displayed, subrecords
from simulators.monitors.ge_dri import GeDri
from simulators.patient import Patient

HEADER = struct.Struct("<hBBHIBBHh")
UNIX_S = 1_700_000_000


def intact(octets: bytes) -> bytes | None:
    """The record in one frame, by the specification alone; None where its checksum or length is wrong."""
    record = bytearray()
    escaping = False
    for octet in octets:
        if octet == 0x7D:
            escaping = True
        else:
            record.append(octet | 0x20 if escaping else octet)
            escaping = False
    body, check = bytes(record[:-1]), record[-1]
    good = sum(body) % 256 == check and len(body) >= 40 and struct.unpack_from("<h", body)[0] == len(body)
    return body if good else None


def records(octets: bytes) -> list[bytes]:
    """Every intact record among what a client received."""
    parts = octets.split(b"\x7e")[:-1]
    return [record for part in parts if part and (record := intact(part)) is not None]


def maintype(record: bytes) -> int:
    return int(HEADER.unpack_from(record)[8])


def slots(record: bytes) -> list[tuple[int, bytes]]:
    found = []
    for index in range(8):
        offset, subtype = struct.unpack_from("<hB", record, 16 + 3 * index)
        if subtype == 0xFF:
            break
        found.append((subtype, record[40 + offset :]))
    return found


def basic(record: bytes, offset: int) -> int:
    """A value of the basic class, by its offset in the body."""
    return int(struct.unpack_from("<h", slots(record)[0][1], 4 + offset)[0])


def nibp_label(record: bytes) -> int:
    return int(struct.unpack_from("<H", slots(record)[0][1], 4 + 76)[0])


def request(maintype: int, body: bytes, *, level: int = 0, spoil: int = 0) -> bytes:
    record = HEADER.pack(40 + len(body), 0, level, 0, 0, 0, 0, 0, maintype) + struct.pack("<hB", 0, 0)
    record += struct.pack("<hB", 0, 0xFF)
    record = record.ljust(40, b"\0") + body
    check = (sum(record) + spoil) % 256
    escaped = b"".join(bytes((0x7D, o & 0xDF)) if o in (0x7E, 0x7D) else bytes((o,)) for o in (*record, check))
    return b"\x7e" + escaped + b"\x7e"


def values_request(interval_s: int, classes: int = 0, **how: Any) -> bytes:
    return request(0, struct.pack("<BhIh", 1, interval_s, classes, 0), **how)


def wave_request(*types: int) -> bytes:
    return request(1, struct.pack("<hh", 0, 0) + bytes((*types, 0xFF)).ljust(28, b"\0"))


def alarm_request(command: int) -> bytes:
    return request(4, struct.pack("<6h", command, 0, 0, 0, 0, 0))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor that makes nobody wait: its shortest interval is 1 s, its states last that long at least."""
    monkeypatch.setattr(dri_subscription, "VALUES_MIN_S", 1)
    monkeypatch.setattr(dri_subscription, "WAVE_DELAY_S", (0.02, 0.05))
    monkeypatch.setattr(bedside, "SEEN_S", 1.2)


@pytest.fixture(scope="module")
def frames(vectors: Path) -> dict[str, dict[str, Any]]:
    lines = (vectors / "ge_dri" / "frames.jsonl").read_text().splitlines()
    return {frame["id"]: frame for frame in map(json.loads, lines)}


def octets_of(frame: dict[str, Any]) -> bytes:
    return bytes.fromhex(frame["hex"])


# --- bytes --------------------------------------------------------------------------------------------------


def basic_frame(groups: dict[str, dri.Group], *, number: int) -> bytes:
    subrecord = dri.class_subrecord(UNIX_S, dri.basic_body(groups), dri.BASIC)
    return dri.frame(dri.record(dri.VALUES, [(1, subrecord)], number=number, level=9, unix_s=UNIX_S))


def test_displayed_values_are_byte_for_byte_the_vectors(frames: dict[str, dict[str, Any]]) -> None:
    groups = {
        "ecg": dri.Group(0x0B, 0x200, [126, None, None, None, 15]),
        "nibp": dri.Group(3, 8, [12800, 7600, 9300, 71]),
        "t1": dri.Group(3, 7, [3660]),
        "spo2": dri.Group(3, 1, [9750, 125, 312, None]),
        "co2": dri.Group(3, 9, [499, 0, 14, 7600]),
    }
    assert basic_frame(groups, number=1) == octets_of(frames["syn_displ_basic_escapes"])
    measuring = {
        "nibp": dri.Group(3, 0x28, [None] * 4),
        "spo2": dri.Group(3, 1, [9700, 70, 250, None]),
    }
    assert basic_frame(measuring, number=2) == octets_of(frames["syn_nibp_measuring"])


def test_waveforms_are_byte_for_byte_the_vectors(frames: dict[str, dict[str, Any]]) -> None:
    frame = octets_of(frames["syn_wave_ecg1_pleth"])
    record = records(frame)[0]
    found = []
    for subtype, octets in slots(record):
        count, status, _ = struct.unpack_from("<hHH", octets)
        samples = struct.unpack_from(f"<{count}h", octets, 6)
        found.append((subtype, dri.wave_subrecord(samples, status=status)))
    made = bytearray(dri.frame(dri.record(dri.WAVES, found, number=7, level=9, unix_s=UNIX_S)))
    assert records(bytes(made))[0][8:] == record[8:]


def test_alarms_are_byte_for_byte_the_vectors(frames: dict[str, dict[str, Any]]) -> None:
    record = records(octets_of(frames["syn_alarm_status"]))[0]
    subrecord = dri.alarm_subrecord([("SpO2 LOW", 3, True), ("HR HIGH", 2, True)], silence=0)
    assert subrecord == slots(record)[0][1]


def test_every_request_of_the_specification_is_understood(frames: dict[str, dict[str, Any]]) -> None:
    for frame in frames.values():
        if frame["dir"] == "host":
            buffer = bytearray(octets_of(frame))
            understood = dri.read_requests(buffer)[0]
            assert understood is not None and understood.maintype == frame["expected"]["maintype"]
            assert not buffer


def test_noise_among_requests_costs_bounded_memory() -> None:
    buffer = bytearray()
    rng = Random(1)
    for _ in range(50):
        buffer += rng.randbytes(200).replace(b"\x7e", b"")
        dri.read_requests(buffer)
    assert len(buffer) <= dri.REQUEST_MAX_BYTES
    buffer += values_request(10)
    assert dri.read_requests(buffer)[-1] is not None


# --- what the monitor shows -----------------------------------------------------------------------------------


def test_with_the_leads_off_the_heart_rate_comes_from_the_finger() -> None:
    vitals = Patient(1).at(0)
    shown = displayed(vitals, Bedside(ecg_on=False), 0)
    assert shown.heart_rate == round(vitals.pulse_rate)
    status = shown.groups["ecg"].status
    assert status >> 3 & 0xF == 6 and status >> 11 & 7 == 7
    nothing = displayed(vitals, Bedside(ecg_on=False, spo2_on=False), 0)
    assert nothing.heart_rate is None and not nothing.groups["ecg"].status & 2


def test_an_apnoea_shows_after_twenty_seconds() -> None:
    patient, bedside = Patient(1), Bedside()
    patient.do("apnea", 10, duration_s=60)
    for t_s in range(60):
        bedside.watch(patient.at(t_s), t_s)
        shown = displayed(patient.at(t_s), bedside, t_s)
        if t_s < 30:
            assert not shown.said["apnea"] and shown.said["resp_rate"] > 0
    assert shown.said["apnea"] and shown.said["resp_rate"] == 0 and shown.said["etco2_pct"] is None
    assert bedside.alarms(patient.at(60), 60)[0].text == "APNEA"


def test_a_blocked_sample_line_is_no_apnoea() -> None:
    patient, bedside = Patient(1), Bedside(co2_occluded=True)
    patient.do("apnea", 0, duration_s=100)
    for t_s in range(60):
        bedside.watch(patient.at(t_s), t_s)
    shown = displayed(patient.at(60), bedside, 60)
    assert not shown.said["apnea"] and shown.groups["co2"].status & 1 << 5


def test_classes_are_sent_as_asked() -> None:
    shown = displayed(Patient(1).at(0), Bedside(), 0)
    for classes, expected in ((0, [0]), (14, [0, 1, 2, 3]), (1, []), (3, [1])):
        found = subrecords(shown, classes, UNIX_S)
        tails = [struct.unpack_from("<H", octets, 276)[0] >> 8 & 0xF for _, octets in found]
        assert tails == expected and all(len(octets) == 278 for _, octets in found)


@pytest.mark.parametrize(
    ("types", "served"),
    [((1, 8, 9), (1, 8, 9)), ((1, 1), (1,)), ((99,), ()), ((1, 4, 15), (1, 15)), ((), ())],
)
def test_waveforms_that_exist_are_served(types: tuple[int, ...], served: tuple[int, ...]) -> None:
    subscription = Subscription()
    asked = dri.read_requests(bytearray(wave_request(*types)))[0]
    assert asked is not None
    assert subscription.accept(asked, 10, strict=False, rng=Random(1)) == bool(served)
    assert subscription.waves == served


# --- over the wire ----------------------------------------------------------------------------------------------


async def test_it_is_silent_until_asked_and_to_whatever_is_wrong(bench: Any) -> None:
    bench.start(GeDri, dri_level=9)
    client = bench.open(19200)
    wrong = (
        values_request(10, spoil=1),
        values_request(3),
        values_request(10, level=10),
        request(0, struct.pack("<BhIh", 2, 10, 0, 0)),
        request(7, bytes(9)),
        alarm_request(2),
        b"\x7e\x7e\x7d\x7e",
        wave_request(77),
    )
    for octets in wrong:
        client.write(octets)
        await asyncio.sleep(0.03)
    await bench.until(lambda: len(bench.truth.of("device-1", "received")) == len(wrong))
    await asyncio.sleep(0.5)
    assert client.read(1000) == b""
    assert not any(line["accepted"] for line in bench.truth.of("device-1", "received"))


async def test_a_blood_pressure_over_the_wire(bench: Any, hasty: None) -> None:
    """Measuring, then new values with the time of the reading."""
    monitor = bench.start(GeDri, speed=40)
    client = bench.open(19200)
    client.write(values_request(1, 14))
    await bench.until(lambda: bench.truth.of("device-1", "received"))
    await monitor.do("nibp_start", mode="auto")
    await monitor.do("nibp_start")  # a second press changes nothing
    first = records(await bench.read(client, records, within_s=2))[0]
    assert [subtype for subtype, _ in slots(first)] == [1, 1, 1, 1, 4]
    assert nibp_label(first) & 0x28 == 0x28 and basic(first, 78) == -32767
    done = await bench.read(client, lambda octets: [r for r in records(octets) if not nibp_label(r) & 0x20])
    second = records(done)[-1]
    reading = bench.truth.of("device-1", "nibp_completed")[0]
    assert not nibp_label(second) & 0x120
    assert [basic(second, offset) for offset in (78, 80, 82)] == [
        100 * reading[name] for name in ("systolic_mmhg", "diastolic_mmhg", "mean_mmhg")
    ]
    assert struct.unpack_from("<I", slots(second)[4][1])[0] == round(reading["wall_s"])
    assert reading["t_s"] - bench.truth.of("device-1", "nibp_started")[0]["t_s"] >= 30
    assert len(bench.truth.of("device-1", "nibp_ignored")) == 1


async def test_what_a_script_takes_off_is_gone_and_comes_back(bench: Any, hasty: None) -> None:
    monitor = bench.start(GeDri)
    client = bench.open(19200)
    for action in ("ecg_lead_off", "spo2_off", "co2_off"):
        await monitor.do(action)
    await monitor.do("alarm", text="one")
    await monitor.do("alarm", text="two")
    await monitor.do("alarm_clear", text="one")
    client.write(values_request(1) + alarm_request(0))
    values = {"heart_rate": 6, "spo2": 124, "etco2": 138, "resp_rate": 142}

    def shown(octets: bytes) -> dict[str, int]:
        found = [record for record in records(octets) if maintype(record) == dri.VALUES]
        return {name: basic(found[-1], offset) for name, offset in values.items()} if found else {}

    assert set(shown(await bench.read(client, shown)).values()) == {-32767}
    texts = {alarm["text"] for alarm in bench.truth.of("device-1", "sent")[0].get("alarms", [])}
    assert texts == {"two", "ECG LEADS OFF", "SpO2 PROBE OFF"}
    for action in ("ecg_lead_on", "spo2_on", "co2_on", "alarm_clear"):
        await monitor.do(action)
    assert min(shown(await bench.read(client, shown)).values()) > 10


def test_alarms_of_its_own_the_gravest_first() -> None:
    rest = Patient(1).at(0)
    cases = {
        ("SpO2 LOW", 2): rest._replace(spo2_pct=89.0),
        ("SpO2 LOW", 3): rest._replace(spo2_pct=80.0),
        ("HR LOW", 2): rest._replace(heart_rate=44.0),
        ("HR HIGH", 2): rest._replace(heart_rate=140.0),
    }
    for alarm, vitals in cases.items():
        assert Bedside().alarms(vitals, 0) == [alarm]
    many = Bedside(ecg_on=False, co2_occluded=True, scripted={"a": 1, "b": 3, "c": 1})
    colours = [alarm.colour for alarm in many.alarms(rest._replace(spo2_pct=80.0), 0)]
    assert colours == [3, 3, 2, 1, 1]
    assert Bedside().alarms(rest, 0) == []


async def test_one_reading_at_a_time_when_asked_once(bench: Any) -> None:
    bench.start(GeDri)
    client = bench.open(19200)
    client.write(values_request(-1))
    await bench.read(client, records, within_s=2)
    client.write(values_request(-1))
    await bench.until(lambda: len(bench.truth.of("device-1", "received")) == 2)
    assert [line["accepted"] for line in bench.truth.of("device-1", "received")] == [True, False]


async def test_waveforms_begin_within_a_second_with_the_gap_marked(bench: Any) -> None:
    monitor = bench.start(GeDri)
    client = bench.open(19200)
    started_s = time.monotonic()
    client.write(wave_request(1, 8, 9))
    octets = await bench.read(client, records, within_s=2)
    assert time.monotonic() - started_s < 1.5
    await monitor.do("ecg_lead_off")
    octets += await bench.read(client, lambda octets: len(records(b"\x7e" + octets)) >= 4)
    blocks = [slots(record) for record in records(octets)]
    counts = [[struct.unpack_from("<hH", octets)[0] for _, octets in block] for block in blocks]
    gaps = [[struct.unpack_from("<hH", octets)[1] & 1 for _, octets in block] for block in blocks]
    off = [struct.unpack_from("<hH", block[0][1])[1] & 8 for block in blocks]
    assert set(map(tuple, counts)) == {(75, 25, 6)}
    assert gaps[0] == [1, 1, 1] and not any(map(any, gaps[1:]))
    assert off[-1] == 8 and struct.unpack_from("<h", blocks[-1][0][1], 6)[0] == -32767
    assert struct.unpack_from("<H", blocks[-1][1][1], 2)[0] == 0, "the pleth goes on"


async def test_alarms_come_once_per_change(bench: Any) -> None:
    monitor = bench.start(GeDri)
    client = bench.open(19200)
    client.write(alarm_request(2))
    none = records(await bench.read(client, records, within_s=2))[0]
    assert maintype(none) == 4 and len(slots(none)[0][1]) == 510
    await monitor.do("alarm", text="Störung", colour="red")
    await monitor.do("silence")
    octets = await bench.read(client, records, within_s=4)
    status = slots(records(octets)[0])[0][1]
    text, changed, colour = struct.unpack_from("<80shh", status, 10)
    assert text.rstrip(b"\0").decode("latin-1") == "Störung"
    assert (changed, colour, struct.unpack_from("<h", status, 8)[0]) == (1, 3, 5)
    first, second = (line["mono_ns"] for line in bench.truth.of("device-1", "sent"))
    assert (second - first) / 1e9 > 1.9


async def test_a_reboot_and_a_pulled_cable_forget_the_subscription(bench: Any, hasty: None) -> None:
    monitor = bench.start(GeDri)
    client = bench.open(19200)
    client.write(wave_request(8))
    await bench.read(client, records)
    await monitor.do("power_off")
    await monitor.do("power_on")
    await asyncio.sleep(0.1)
    client.reset_input_buffer()
    await asyncio.sleep(0.5)
    assert client.read(100) == b""
    client.write(wave_request(8))
    await bench.read(client, records)
    await monitor.do("unplug")
    client.close()
    await monitor.do("replug")
    again = bench.open(19200)
    await asyncio.sleep(0.5)
    assert again.read(100) == b""
    again.write(wave_request(8))
    await bench.read(again, records)


async def test_a_strict_monitor_hears_its_own_level_only(bench: Any) -> None:
    bench.start(GeDri, dri_level=9, strict_level=True)
    client = bench.open(19200)
    for level in (0, 8, 10, 9):
        client.write(values_request(-1, level=level))
        await asyncio.sleep(0.03)
    await bench.until(lambda: len(bench.truth.of("device-1", "received")) == 4)
    assert [line["accepted"] for line in bench.truth.of("device-1", "received")] == [False, False, False, True]


async def test_the_truth_log_knows_every_frame_and_what_befell_it(bench: Any, hasty: None) -> None:
    faults = Faults(noise_one_in_frames=3, bad_checksum_one_in_frames=3, truncate_one_in_frames=5)
    monitor = bench.start(GeDri, faults=faults, seed=5)
    client = bench.open(19200)
    client.write(wave_request(8, 9))
    await bench.until(lambda: len(bench.truth.of("device-1", "sent")) >= 9)
    await monitor.do("power_off")
    await asyncio.sleep(0.05)
    received = {HEADER.unpack_from(record)[1] for record in records(client.read(100_000) + b"\x7e")}
    said = bench.truth.of("device-1", "sent")
    whole = {line["number"] for line in said if not line["bad_checksum"] and "truncated" not in line["damage"]}
    doubtful = {line["number"] for line in said if line["damage"]}
    assert [line["number"] for line in said] == list(range(1, len(said) + 1))
    assert received <= whole, "nothing that was spoilt was received as good"
    assert whole - received <= doubtful | {number + 1 for number in doubtful} | {said[-1]["number"]}
    assert any(line["bad_checksum"] for line in said) and doubtful


async def test_the_clock_drifts_and_may_lose_its_battery(bench: Any, hasty: None) -> None:
    bench.start(GeDri, clock_offset_s=3600.0, bad_date_message=2)
    client = bench.open(19200)
    client.write(wave_request(9))
    octets = await bench.read(client, lambda octets: len(records(octets)) == 3)
    stamps = [HEADER.unpack_from(record)[4] for record in records(octets)]
    assert abs(stamps[0] - time.time() - 3600) < 3
    assert stamps[1] == 0 and stamps[2] > stamps[0] - 1


async def test_what_it_cannot_do_is_refused_by_name(bench: Any) -> None:
    monitor = bench.start(GeDri)
    with pytest.raises(ValueError, match=re.escape("cannot 'dance'; one of alarm, alarm_clear, co2_off")):
        await monitor.do("dance")
    with pytest.raises(ValueError, match="nibp_start: got an unexpected"):
        await monitor.do("nibp_start", how="fast")
    with pytest.raises(ValueError, match="manual, auto, stat"):
        await monitor.do("nibp_start", mode="fast")
    with pytest.raises(ValueError, match="white, yellow, red"):
        await monitor.do("alarm", text="x", colour="blue")
