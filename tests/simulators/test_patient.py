"""The patient behind all devices: the same for every observer, never jumping, plausible."""

from __future__ import annotations

import itertools
import statistics
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.monitors.waves import CHANNELS, Waves
from simulators.patient import Patient, Vitals

ACTIONS = ("sedation", "pain", "vasovagal", "desaturation", "apnea", "anxiety", "recover")
# The fastest that each quantity may change in one second: what a monitor would take for a jump is far above.
MOST_PER_S = Vitals(
    heart_rate=9,
    spo2_pct=0.8,
    pulse_rate=9,
    systolic_mmhg=10,
    diastolic_mmhg=6,
    mean_mmhg=8,
    resp_rate=7,
    etco2_mmhg=3,
    fico2_mmhg=0,
    temp_c=0.01,
    perfusion_index_pct=0.8,
)

scripts = st.lists(st.tuples(st.sampled_from(ACTIONS), st.floats(0, 300)), max_size=4, unique_by=lambda step: step[0])


def patient_after(script: list[tuple[str, float]], seed: int = 1) -> Patient:
    patient = Patient(seed)
    for action, at_s in sorted(script, key=lambda step: step[1]):
        patient.do(action, at_s)
    return patient


@given(scripts, st.integers(0, 99), st.floats(0, 900))
def test_seed_script_and_time_say_everything(script: list[tuple[str, float]], seed: int, t_s: float) -> None:
    first, second = patient_after(script, seed), patient_after(script, seed)
    second.at(t_s + 100)  # who asks, when and how often makes no difference
    assert first.at(t_s) == second.at(t_s)


@given(scripts)
@settings(max_examples=25, deadline=None)
def test_nothing_in_a_body_is_a_step(script: list[tuple[str, float]]) -> None:
    patient = patient_after(script)
    course = [patient.at(t_s) for t_s in range(400)]
    for before, after in itertools.pairwise(course):
        for name, most in MOST_PER_S._asdict().items():
            change = abs(getattr(after, name) - getattr(before, name))
            if name == "resp_rate" and 0 in (after.resp_rate, before.resp_rate):
                continue  # the last breath of an apnoea is a breath, and then there is none
            assert change <= most * 2, (name, before, after)


@given(scripts, st.floats(0, 1200))
@settings(deadline=None)
def test_every_value_is_one_of_a_living_patient(script: list[tuple[str, float]], t_s: float) -> None:
    vitals = patient_after(script).at(t_s)
    assert 25 <= vitals.heart_rate <= 220
    assert 55 <= vitals.spo2_pct <= 100
    assert 25 <= vitals.diastolic_mmhg < vitals.mean_mmhg < vitals.systolic_mmhg <= 260
    assert 0 <= vitals.resp_rate <= 60
    assert vitals.perfusion_index_pct > 0


def test_at_rest_the_heart_varies_and_stays_itself() -> None:
    rates = [Patient(7).at(t_s).heart_rate for t_s in range(300)]
    assert 72 < statistics.mean(rates) < 76
    assert 0.5 < statistics.stdev(rates) < 4
    assert [Patient(8).at(t_s).heart_rate for t_s in range(300)] != rates


@pytest.mark.parametrize(
    ("action", "name", "after_s", "least_change"),
    [
        ("sedation", "resp_rate", 300, -3),
        ("sedation", "systolic_mmhg", 300, -8),
        ("pain", "heart_rate", 10, 8),
        ("vasovagal", "heart_rate", 60, -20),
        ("vasovagal", "systolic_mmhg", 60, -30),
        ("vasovagal", "perfusion_index_pct", 60, -0.8),
        ("desaturation", "spo2_pct", 60, -8),
        ("apnea", "resp_rate", 15, -12),
        ("apnea", "spo2_pct", 80, -6),
        ("apnea", "etco2_mmhg", 42, 5),
        ("anxiety", "systolic_mmhg", 60, 12),
    ],
)
def test_what_happens_shows(action: str, name: str, after_s: float, least_change: float) -> None:
    rest, patient = Patient(1), Patient(1)
    patient.do(action, 100)
    assert patient.at(99) == rest.at(99)
    change = getattr(patient.at(100 + after_s), name) - getattr(rest.at(100 + after_s), name)
    assert change * (1 if least_change > 0 else -1) >= abs(least_change)


def test_saturation_falls_only_after_breathing_stopped() -> None:
    patient = Patient(1)
    patient.do("apnea", 0, duration_s=40)
    assert not patient.at(10).breathing
    assert patient.at(15).spo2_pct > 96
    assert patient.at(90).breathing and patient.at(90).spo2_pct < 91


@pytest.mark.parametrize("action", ACTIONS[:-1])
def test_recover_ends_everything_within_a_minute(action: str) -> None:
    rest, patient = Patient(1), Patient(1)
    patient.do(action, 0)
    patient.do("recover", 30)
    assert patient.at(91) == rest.at(91)


def test_a_paraesthesia_hurts_more_than_a_needle() -> None:
    rates = []
    for kind in ("needle", "pressure", "paraesthesia"):
        patient = Patient(1)
        patient.do("pain", 0, kind=kind)
        rates.append(patient.at(10).heart_rate)
    assert rates == sorted(rates) and rates[0] < rates[2] - 5


def test_what_cannot_happen_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'faint'; one of sedation, pain, vasovagal"):
        Patient(1).do("faint", 0)
    with pytest.raises(ValueError, match="needle, pressure, paraesthesia"):
        Patient(1).do("pain", 0, kind="tickle")
    with pytest.raises(ValueError, match="only a pain"):
        Patient(1).do("sedation", 0, kind="needle")


def test_the_waveforms_beat_and_breathe_at_the_patients_rates() -> None:
    vitals = Patient(1).at(0)._replace(heart_rate=72.0, resp_rate=15.0)
    waves = Waves(Random(1))
    ecg: list[int] = []
    co2: list[int] = []
    for _ in range(4 * 60):
        block = waves.block(vitals, 0.25, (1, 9))
        ecg += block[1]
        co2 += block[9]
    assert len(ecg) == 60 * CHANNELS[1].rate_hz
    beats = sum(before < 600 <= after for before, after in itertools.pairwise(ecg))
    breaths = sum(before < 200 <= after for before, after in itertools.pairwise(co2))
    assert 71 <= beats <= 74
    assert 14 <= breaths <= 16
    assert max(co2) == pytest.approx(100 * 100 * vitals.etco2_mmhg / 760, rel=0.02)


def test_an_apnoea_is_flat() -> None:
    vitals = Patient(1).at(0)._replace(resp_rate=0.0)
    block = Waves(Random(1)).block(vitals, 4, (9, 15))
    assert set(block[9]) == {0} and set(block[15]) == {0}
