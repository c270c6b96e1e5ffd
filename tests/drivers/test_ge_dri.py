"""GE DRI: the vectors' expected values, the cuff's cycle, the subscription's schedule, alarms."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest

from esi_room.drivers import ge_dri
from esi_room.drivers.contract import Identified, Refused
from esi_room.drivers.ge_dri import tables, wave_table, wire, words
from esi_room.drivers.ge_dri.subscription import LEVELS
from esi_room.errors import ConfigurationError
from esi_room.events import DeviceAlarm, VitalsNumeric, VitalsWaveform

INVALID = -32767
READY = 3  # module exists, measurement active

NAMES = {
    "HR_bpm": "heart_rate_bpm",
    "imp_rr": "impedance_respiratory_rate_bpm",
    "NIBP_sys": "nibp_systolic_mmhg",
    "NIBP_dia": "nibp_diastolic_mmhg",
    "NIBP_mean": "nibp_mean_mmhg",
    "NIBP_pr": "nibp_pulse_rate_bpm",
    "T1_C": "temperature_1_cel",
    "SpO2_pct": "spo2_pct",
    "PR_bpm": "pulse_rate_bpm",
    "ir_amp_pct": "spo2_ir_amplitude_pct",
    "EtCO2_pct": "etco2_pct",
    "EtCO2_mmHg": "etco2_mmhg",
    "FiCO2_pct": "fico2_pct",
    "RR": "respiratory_rate_bpm",
    "amb_press_mmHg": "ambient_pressure_mmhg",
}
REASONS = {
    "SpO2": "spo2_pct",
    "PR": "pulse_rate_bpm",
    "ir_amp": "spo2_ir_amplitude_pct",
}


def record(maintype: int, *subrecords: tuple[int, bytes], level: int = 9) -> bytes:
    """A frame from the monitor, built without the driver's own layout code."""
    places, body = b"", b""
    for type_, data in subrecords:
        places += struct.pack("<hB", len(body), type_)
        body += data
    places = (places + b"\0\0\xff").ljust(24, b"\0")[:24]
    header = struct.pack("<hBBHIBBHh", 40 + len(body), 1, level, 7, 1_700_000_000, 0, 0, 0, maintype)
    return wire.framed(header + places + body)


def displayed(groups: dict[str, tuple[int, int, list[int]]], class_: int = 0) -> bytes:
    """One displayed-values subrecord. `groups`: name -> status, label, values."""
    body = bytearray(270)
    for group in tables.GROUPS[class_]:
        if group.name in groups:
            status, label, values = groups[group.name]
            values = values + [INVALID] * (len(group.fields) - len(values))
            struct.pack_into(f"<IH{len(values)}h", body, group.at, status, label, *values)
    return struct.pack("<I", 1_700_000_000) + bytes(body) + struct.pack("<BBH", 0, 0, class_ << 8 | 0x5B)


def cuff(label: int, *values: int, status: int = READY) -> bytes:
    return record(0, (1, displayed({"nibp": (status, label, list(values))})))


MEASURING, OLD = 1 << 5, 1 << 8


@pytest.mark.parametrize("number", range(20))
def test_every_frame_says_what_the_vectors_expect(make: Any, vectors: Any, by_name: Any, number: int) -> None:
    frame = vectors("ge_dri")[number]
    fed = make("ge_dri")
    fed(frame["octets"])
    if not frame["checksum_ok"]:
        assert fed.outputs == []
        assert fed.rejects == ["bad checksum"]
        return
    if frame["dir"] == "host":
        assert fed.rejects == ["request"]
        return
    assert fed.rejects == []
    for data in fed.said(VitalsNumeric):
        readings = by_name(data)
        for part in frame["expected"]["subrecords"]:
            _check_values(part, readings, data)


def _check_values(part: dict[str, Any], readings: dict[str, Any], data: VitalsNumeric) -> None:
    for key, name in NAMES.items():
        if part.get(key) is not None:
            assert readings[name].value == pytest.approx(part[key]), key
        elif key in part and name in readings:
            assert readings[name].value is None
    for key, name in REASONS.items():
        if key in part:
            assert readings[name].status == "invalid"
            assert part[key] in readings[name].flags
    for key, word in (
        ("NIBP_auto", "nibp_auto"),
        ("NIBP_measuring", "nibp_measuring"),
        ("NIBP_stale60", "nibp_older_than_60_s"),
        ("CO2_apnea", "apnea"),
    ):
        if key in part:
            assert (word in data.conditions) == part[key]
    if "nibp_time" in part:
        assert data.fields["nibp_time_s"] == part["nibp_time"]
        assert data.fields["body_surface_m2"] == part["pat_bsa_m2"]


@pytest.mark.parametrize("step", [1, 2, 7, 64])
def test_the_split_of_the_stream_changes_nothing(make: Any, vectors: Any, step: int) -> None:
    stream = b"".join(frame["octets"] for frame in vectors("ge_dri") if frame["dir"] == "device")
    whole, split = make("ge_dri"), make("ge_dri")
    whole(stream)
    for at in range(0, len(stream), step):
        split(stream[at : at + step])
    assert split.outputs == whole.outputs
    assert split.rejects == whole.rejects


def test_frames_may_share_their_flags(make: Any, vectors: Any) -> None:
    frames = [f["octets"] for f in vectors("ge_dri") if f["dir"] == "device" and f["checksum_ok"]]
    apart, shared = make("ge_dri"), make("ge_dri")
    apart(b"".join(frames))
    shared(b"\x7e" + b"\x7e".join(frame.strip(b"\x7e") for frame in frames) + b"\x7e")
    assert shared.outputs == apart.outputs


def test_labels_and_sources_go_with_their_readings(make: Any, vectors: Any, by_name: Any) -> None:
    fed = make("ge_dri")
    fed(next(f["octets"] for f in vectors("ge_dri") if f["id"] == "syn_displ_basic_escapes"))
    (data,) = fed.said(VitalsNumeric)
    readings = by_name(data)
    assert readings["heart_rate_bpm"].code == 147842
    assert readings["heart_rate_bpm"].flags == ("source_ecg",)
    assert readings["respiratory_rate_bpm"].code == 151594
    assert readings["temperature_1_cel"].flags == ("site_skin",)
    assert data.stale_after_s == 15.0
    assert not any(name.startswith("p1_") for name in readings), "an absent module is not listed"


def test_a_heart_rate_from_the_pleth_does_not_pass_for_an_ecg(make: Any, vectors: Any, by_name: Any) -> None:
    fed = make("ge_dri")
    fed(next(f["octets"] for f in vectors("ge_dri") if f["id"] == "syn_displ_four_classes"))
    (data,) = fed.said(VitalsNumeric)
    rate = by_name(data)["heart_rate_bpm"]
    assert (rate.code, rate.value, rate.flags) == ("ge_dri:ecg.hr", 66, ("source_pleth",))


def test_an_inactive_group_is_off_even_with_a_number_in_it(make: Any, by_name: Any) -> None:
    fed = make("ge_dri")
    fed(record(0, (1, displayed({"spo2": (1, 0, [9700, 70])}))))
    spo2 = by_name(fed.said(VitalsNumeric)[0])["spo2_pct"]
    assert (spo2.value, spo2.status) == (None, "off")


@pytest.mark.parametrize("raw", [*words.SPECIAL_VALUES, -32001, -32768])
def test_no_special_value_is_ever_a_measurement(make: Any, by_name: Any, raw: int) -> None:
    fed = make("ge_dri")
    fed(record(0, (1, displayed({"t1": (READY, 1, [raw])}))))
    reading = by_name(fed.said(VitalsNumeric)[0])["temperature_1_cel"]
    assert (reading.value, reading.status) == (None, "invalid")
    assert reading.flags[-1] == words.SPECIAL_VALUES.get(raw, f"special_{raw}")


def test_the_smallest_true_value_is_one(make: Any, by_name: Any) -> None:
    fed = make("ge_dri")
    fed(record(0, (1, displayed({"t1": (READY, 1, [-32000])}))))
    assert by_name(fed.said(VitalsNumeric)[0])["temperature_1_cel"].value == -320.0


def test_the_extended_classes_are_read_too(make: Any, by_name: Any) -> None:
    fed = make("ge_dri")
    ext1 = displayed({"ecg12": (READY, 0, [100, -50]), "spo2_ch2": (READY, 1, [9600, 70])}, 1)
    ext2 = displayed({"ent": (READY, 0, [45, 50, 0]), "nmt2": (READY, 0, [4])}, 2)
    ext3 = displayed({"gasex": (READY, 0, [2500])}, 3)
    fed(record(0, (1, displayed({})), (1, ext1), (1, ext2), (1, ext3)))
    (data,) = fed.said(VitalsNumeric)
    readings = by_name(data)
    assert readings["st_i_mm"].value == 1.0
    assert readings["st_ii_mm"].value == -0.5
    assert readings["spo2_second_pct"].value == 96.0
    assert readings["state_entropy"].value == 45
    assert data.fields["gasex_raw"]["vo2"] == 2500, "scale not certain: the raw number, and no reading"
    assert "nmt2_raw" in data.fields


def test_octets_that_nothing_explains_are_kept(make: Any) -> None:
    fed = make("ge_dri")
    body = bytearray(displayed({}))
    body[4 + 268] = 0xAB
    fed(record(0, (1, bytes(body))))
    assert fed.said(VitalsNumeric)[0].fields["class_0_268_hex"] == "ab00"


def test_unknown_status_bits_are_told_by_number(make: Any) -> None:
    fed = make("ge_dri")
    fed(record(0, (1, displayed({"ecg": (READY | 1 << 20 | 1 << 7, 0, [])}))))
    assert fed.said(VitalsNumeric)[0].conditions == ("ecg_noise", "ecg_bit_20")


@pytest.mark.parametrize(("type_", "word"), [(2, "trend_10_s"), (3, "trend_60_s")])
def test_a_trend_is_never_a_live_value(make: Any, type_: int, word: str) -> None:
    fed = make("ge_dri")
    trend = displayed({"spo2": (READY, 1, [9700, 70]), "nibp": (READY, MEASURING, [])})
    fed(record(0, (type_, trend)))
    (data,) = fed.said()
    assert data.readings == ()
    assert data.conditions == ()
    assert data.fields[word][0]["spo2_pct"] == 97.0
    fed(cuff(0, 12000, 8000, 9000, 70))
    assert fed.said()[-1].readings[0].status == "ok"


# --- the cuff -------------------------------------------------------------------------------------------


def cuffs(fed: Any) -> list[tuple[float | None, str]]:
    return [(r.value, r.status) for d in fed.said(VitalsNumeric) for r in d.readings if r.code == 150021]


def test_a_cuff_value_is_told_once_for_each_measurement(make: Any) -> None:
    fed = make("ge_dri")
    for _ in range(2):  # the second cycle brings equal values: a new measurement all the same
        fed(cuff(MEASURING, *[INVALID] * 4))
        fed(cuff(MEASURING, *[INVALID] * 4))
        for label in (0, 0, OLD, OLD):
            fed(cuff(label, 12800, 7600, 9300, 71))
    assert cuffs(fed) == [(128.0, "ok"), (128.0, "ok")]
    reading = next(r for d in fed.said(VitalsNumeric) for r in d.readings)
    assert reading.stale_after_s == 300.0


def test_the_first_cuff_value_after_opening_may_be_old(make: Any) -> None:
    fed = make("ge_dri")
    fed(cuff(OLD, 12800, 7600, 9300, 71))
    (reading, *_) = fed.said(VitalsNumeric)[0].readings
    assert (reading.value, reading.status, reading.flags) == (128.0, "questionable", ("older_than_60_s",))
    fed.driver.on_open()
    fed(cuff(0, 12800, 7600, 9300, 71))
    assert cuffs(fed)[-1] == (128.0, "ok")


def test_values_may_come_after_measuring_has_ended(make: Any) -> None:
    fed = make("ge_dri")
    fed(cuff(MEASURING))
    fed(cuff(0))
    fed(cuff(0))
    fed(cuff(0, 12800, 7600, 9300, 71))
    assert cuffs(fed) == [(None, "invalid"), (128.0, "ok")]


def test_a_measurement_that_failed_does_not_bring_the_old_value_back(make: Any) -> None:
    fed = make("ge_dri")
    fed(cuff(0, 12800, 7600, 9300, 71))
    fed(cuff(OLD, 12800, 7600, 9300, 71))
    fed(cuff(MEASURING | OLD, 12800, 7600, 9300, 71))
    fed(cuff(OLD, 12800, 7600, 9300, 71))
    assert cuffs(fed) == [(128.0, "ok")]


def test_a_measurement_between_two_records_shows_by_its_age(make: Any) -> None:
    fed = make("ge_dri")
    fed(cuff(OLD, 12800, 7600, 9300, 71))
    fed(cuff(0, 12800, 7600, 9300, 71))
    assert cuffs(fed) == [(128.0, "questionable"), (128.0, "ok")]


def test_a_cuff_that_is_switched_off_is_told_once(make: Any) -> None:
    fed = make("ge_dri")
    fed(cuff(0, 12800, 7600, 9300, 71))
    fed(cuff(0, 12800, 7600, 9300, 71, status=1))
    fed(cuff(0, 12800, 7600, 9300, 71, status=1))
    assert cuffs(fed) == [(128.0, "ok"), (None, "off")]


# --- conditions and alarms ------------------------------------------------------------------------------


def edges(fed: Any) -> list[tuple[str, bool]]:
    return [(alarm.code, alarm.active) for alarm in fed.said(DeviceAlarm)]


def test_alarming_conditions_are_told_when_they_begin_and_end(make: Any) -> None:
    fed = make("ge_dri")
    apnea = record(0, (1, displayed({"co2": (READY | 1 << 2, 1, [])})))
    for frame in (apnea, apnea, record(0, (1, displayed({"co2": (READY, 1, [])})))):
        fed(frame)
    assert edges(fed) == [("ge_dri:apnea", True), ("ge_dri:apnea", False)]


def test_a_class_that_is_not_sent_ends_nothing(make: Any) -> None:
    fed = make("ge_dri")
    fed(record(0, (1, displayed({"co2": (READY | 1 << 5, 1, [])}))))
    fed(record(0, (1, displayed({}, 1))))
    assert edges(fed) == [("ge_dri:co2_occlusion", True)]


def alarm_status(*alarms: tuple[str, int], sound: int = 1, silence: int = 0) -> bytes:
    places = [struct.pack("<80shhh12x", text.encode("latin-1"), 1, colour, 1) for text, colour in alarms]
    places += [bytes(98)] * (5 - len(places))
    return record(4, (1, struct.pack("<5h", 0, sound, 0, 0, silence) + b"".join(places) + bytes(10)), level=10)


def test_displayed_alarms_come_and_go_with_their_colour(make: Any) -> None:
    fed = make("ge_dri")
    fed(alarm_status(("SpO2 nieder", 2), ("Häm", 1)))
    fed(alarm_status(("SpO2 nieder", 3), silence=5))
    fed(alarm_status(sound=0))
    told = [(a.text, a.priority, a.active) for a in fed.said(DeviceAlarm)]
    assert told == [
        ("SpO2 nieder", "yellow", True),
        ("Häm", "white", True),
        ("Häm", "white", False),
        ("SpO2 nieder", "red", True),
        ("alarms silenced: 2 min", None, True),
        ("SpO2 nieder", "red", False),
        ("alarms silenced: 2 min", None, False),
        ("alarm sound is off", None, True),
    ]


def test_waveforms_keep_their_gaps(make: Any, vectors: Any) -> None:
    fed = make("ge_dri")
    for name in ("syn_wave_ecg1_pleth", "syn_wave_lead_off"):
        fed(next(f["octets"] for f in vectors("ge_dri") if f["id"] == name))
    ecg, pleth, off = fed.said(VitalsWaveform)
    assert (ecg.samples[0], len(ecg.samples), ecg.gap_before, ecg.rate_hz) == (-100, 75, True, 300)
    assert (pleth.code, pleth.samples[-1], pleth.unit) == (150452, 0.96, "%")
    assert off.conditions == ("lead_off",)
    assert off.samples.count(None) == 5


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (record(0, (1, bytes(277))), "subrecord cut off"),
        (record(0, (4, bytes(113))), "subrecord cut off"),
        (record(0, (9, bytes(278))), "values type 9"),
        (record(0, (1, displayed({})), (1, displayed({}))), "class twice"),
        (record(1, (8, struct.pack("<hHH", 9, 0, 0))), "waveform cut off"),
        (record(1, (8, struct.pack("<hHHh", -1, 0, 0, 0))), "waveform cut off"),
        (record(1, (99, bytes(20))), "waveform type 99"),
        (record(4, (1, bytes(509))), "alarm status cut off or unknown"),
        (record(5, (1, bytes(20))), "maintype 5"),
    ],
)
def test_a_record_that_is_wrong_anywhere_says_nothing(make: Any, frame: bytes, reason: str) -> None:
    fed = make("ge_dri")
    fed(frame)
    assert fed.outputs == [Refused(reason)]


def test_a_subrecord_outside_the_record_is_refused(make: Any) -> None:
    fed = make("ge_dri")
    header = struct.pack("<hBBHIBBHh", 318, 1, 9, 7, 0, 0, 0, 0, 0)
    fed(wire.framed(header + struct.pack("<hB", 300, 1).ljust(24, b"\xff") + bytes(278)))
    assert fed.rejects == ["subrecord outside the record"]


def test_a_good_checksum_does_not_excuse_a_bad_length(make: Any) -> None:
    fed = make("ge_dri")
    fed(wire.framed(struct.pack("<h", 99) + bytes(60)))
    assert fed.rejects == ["bad length"]


def test_the_other_checksum_is_counted_apart_and_can_be_chosen(make: Any, vectors: Any) -> None:
    plain = next(f["octets"] for f in vectors("ge_dri") if f["id"] == "syn_displ_basic_escapes")
    escaped = plain.strip(b"\x7e")[:-1]
    frame = b"\x7e" + escaped + bytes([sum(escaped) & 0xFF]) + b"\x7e"
    strict, lenient = make("ge_dri"), make("ge_dri", checksum="escaped")
    strict(frame)
    lenient(frame)
    assert strict.rejects == ["escaped-octet checksum"]
    assert strict.outputs == []
    assert len(lenient.said(VitalsNumeric)) == 1


# --- asking ---------------------------------------------------------------------------------------------


def asked(fed: Any, now_s: float) -> list[int]:
    """The DRI levels of what is asked at this tick, in order."""
    return [wire.contents(ask.octets, "spec")[3] for ask in fed.driver.on_tick(now_s)]  # type: ignore[misc]


def test_requests_are_the_documents_own(vectors: Any) -> None:
    frames = {f["id"]: f["octets"] for f in vectors("ge_dri")}
    assert wire.values_request(0, 10, 14) == frames["spec_req_displ_10s"]
    assert wire.waveforms_request(0, (1,)) == frames["spec_wave_start_ecg1"]
    assert wire.alarms_request(0) == frames["syn_alarm_req_enter_diff"]


def test_the_levels_are_tried_in_turn_until_one_is_answered(make: Any, vectors: Any) -> None:
    fed = make("ge_dri", alarms=False)
    levels = {now_s: asked(fed, float(now_s)) for now_s in range(75)}
    assert [(s, level) for s, level in levels.items() if level] == [
        (10 * n, [level]) for n, level in enumerate(LEVELS)
    ] + [(70, [LEVELS[0]])]
    fed(vectors("ge_dri")[6]["octets"])
    assert not any(asked(fed, 75.0 + n) for n in range(15))
    assert asked(fed, 90.0) == [0], "the level that was answered, when the values stop"


def test_a_fixed_level_is_asked_again_after_20_s(make: Any) -> None:
    fed = make("ge_dri", level=11, alarms=False)
    assert [s for s in range(45) if asked(fed, float(s))] == [0, 20, 40]


def test_waveforms_alone_are_asked_again_when_only_they_stop(make: Any, vectors: Any) -> None:
    fed = make("ge_dri", waveforms=("PLETH",), level=9)
    assert len(asked(fed, 0.0)) == 3
    for second in range(1, 25):
        fed(vectors("ge_dri")[6]["octets"])
        asks = fed.driver.on_tick(float(second))
        assert len(asks) == (1 if second == 20 else 0)
        if asks:
            assert asks[0].octets == wire.waveforms_request(9, (8,))


def test_after_reopening_everything_is_asked_again(make: Any, vectors: Any) -> None:
    fed = make("ge_dri")
    fed.driver.on_tick(0.0)
    fed(vectors("ge_dri")[6]["octets"])
    fed.driver.on_open()
    assert len(fed.driver.on_tick(1.0)) == 2
    assert any(isinstance(out, Identified) for out in fed(vectors("ge_dri")[6]["octets"]))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"interval_s": 4}, "interval_s = 4: allowed are 5 to 60"),
        ({"interval_s": 125}, "interval_s = 125"),
        ({"classes": ()}, "name at least one"),
        ({"waveforms": ("PLEHT",)}, "waveform 'PLEHT': known are ECG1"),
        ({"waveforms": ("ECG1", "ECG2", "PLETH")}, "700 samples/s together"),
        ({"waveforms": ("CO2", "CO2")}, "named twice"),
        ({"waveforms": tuple(wave_table.WAVES)[3:12]}, "9 named, 8 allowed"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint.replace("(", "[(]")):
        ge_dri.make(ge_dri.Options(**options))


def test_options_come_from_plain_data_and_nothing_unknown_passes() -> None:
    options = msgspec.convert({"interval_s": 10, "waveforms": ["PLETH"], "level": 9}, ge_dri.Options)
    assert ge_dri.make(options).info.max_silence_s == 30.0
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"intervall_s": 10}, ge_dri.Options)


def test_no_group_lies_over_another_and_all_octets_are_spoken_for() -> None:
    for class_, groups in tables.GROUPS.items():
        spans = [(g.at, g.at + g.size_bytes) for g in groups] + list(tables.UNKNOWN[class_])
        if class_ == tables.EXT1:
            spans.append((words.ARRHYTHMIA_AT, words.ARRHYTHMIA_AT + 4))
        octets = sorted(at for start, end in spans for at in range(start, end))
        assert octets == list(range(270))
