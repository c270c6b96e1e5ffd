"""R10 monitoring, R15 vasovagal reaction, R16 dose, R17 injection pressure, R18 discharge."""

from __future__ import annotations

from typing import Any

import pytest
from procedure_rig import DEXAMETHASONE, Case

# --- R10: how old vital signs are ---------------------------------------------------------------------------------


def monitored(**parameters: Any) -> Case:
    """In preparation since 60 s; everything was measured at 60 s."""
    case = Case("R10", **parameters)
    case.enters(60, "preparation")
    case.vitals(60, nibp_systolic_mmhg=130)
    case.vitals(60, heart_rate_bpm=70)
    case.vitals(60, spo2_pct=98)
    return case


def all_the_time(case: Case, until_s: float, *without: str) -> None:
    """Once in 20 s each of them."""
    while case.now_s < until_s:
        case.wait(min(until_s, case.now_s + 20))
        for name, value in {"nibp_systolic_mmhg": 130, "heart_rate_bpm": 70, "spo2_pct": 98}.items():
            if name not in without:
                case.vitals(None, **{name: value})


@pytest.mark.parametrize(
    ("key", "name", "limit_s", "words"),
    [
        ("nibp", "nibp_systolic_mmhg", 300, "The blood pressure is older than 5 minutes."),
        ("heart_rate", "heart_rate_bpm", 300, "The heart rate is older than 5 minutes."),
        ("spo2", "spo2_pct", 30, "SpO2 is older than 30 seconds."),
    ],
)
def test_r10_too_old(key: str, name: str, limit_s: float, words: str) -> None:
    case = monitored()
    last = {"nibp_systolic_mmhg": 3, "heart_rate_bpm": 4, "spo2_pct": 5}[name]
    all_the_time(case, 60 + limit_s, name)
    assert case.alerts == {}, "at the limit it is not older"
    case.wait(case.now_s + 1)
    case.is_raised(f"R10-{key}", "medium", (last,), words)
    case.vitals(None, **{name: 90.0})
    assert case.history == [f"+R10-{key}", f"-R10-{key}"]
    all_the_time(case, case.now_s + limit_s + 1, name)
    assert case.history[-1] == f"+R10-{key}~2"


def test_r10_a_pulse_is_a_heart_rate() -> None:
    case = monitored()
    for _ in range(20):
        case.wait(case.now_s + 20)
        case.vitals(None, "oximeter-1", pulse_rate_bpm=70, spo2_pct=98)
        case.vitals(None, nibp_systolic_mmhg=130)
    assert case.history == []


def test_r10_a_value_that_the_monitor_marks_bad_is_none() -> None:
    case = monitored()
    all_the_time(case, 100)
    for _ in range(40):
        case.wait(case.now_s + 1)
        case.vitals(None, status="invalid", spo2_pct=None)
        case.vitals(None, status="off", spo2_pct=80)
    assert list(case.alerts) == ["R10-spo2"]


def test_r10_the_limits_are_parameters() -> None:
    case = monitored(nibp_max_age_s=150.0, spo2_max_age_s=90.0, heart_rate_max_age_s=120.0)
    case.wait(220)
    assert {alert: said.text for alert, said in case.alerts.items()} == {
        "R10-nibp": "The blood pressure is older than 2.5 minutes.",
        "R10-spo2": "SpO2 is older than 90 seconds.",
        "R10-heart_rate": "The heart rate is older than 2 minutes.",
    }


def test_r10_before_preparation_and_after_the_injection_it_is_silent() -> None:
    case = Case("R10")
    case.enters(10, "evaluation")
    case.vitals(12, nibp_systolic_mmhg=130, heart_rate_bpm=70, spo2_pct=98)
    case.wait(500)
    assert case.alerts == {}
    case.enters(500, "preparation")
    assert case.alerts == {}, "the sensors are only now put on again"
    case.wait(531)
    assert list(case.alerts) == ["R10-spo2"]
    case.wait(801)
    assert list(case.alerts) == ["R10-spo2", "R10-nibp", "R10-heart_rate"]
    case.enters(810, "recovery")
    assert case.alerts == {}


def test_r10_going_back_from_recovery_the_patient_is_monitored_again() -> None:
    case = monitored()
    case.enters(70, "recovery")
    case.wait(400)
    assert case.history == []
    case.enters(400, "guidance", reason="second level")
    case.wait(431)
    assert list(case.alerts) == ["R10-spo2"]


def test_r10_ends_with_the_procedure() -> None:
    case = monitored()
    case.wait(100)
    case.ends(100)
    case.wait(1000)
    assert case.alerts == {}


@pytest.mark.parametrize("level", ["moderate", "deep", "general_anaesthesia"])
def test_r10_sedated_without_etco2(level: str) -> None:
    case = monitored()
    sedated = case.says(70, "sedation", level=level)
    all_the_time(case, 130)
    assert case.alerts == {}
    case.wait(131)
    case.is_raised("R10-etco2", "medium", (sedated,), "no EtCO2")
    case.vitals(None, etco2_mmhg=38)
    assert case.history == ["+R10-etco2", "-R10-etco2"]


@pytest.mark.parametrize("name", ["etco2_mmhg", "etco2_pct"])
def test_r10_etco2_by_whatever_unit_the_monitor_has(name: str) -> None:
    case = monitored()
    sedated = case.says(70, "sedation", level="moderate")
    for _ in range(10):
        all_the_time(case, case.now_s + 20)
        case.vitals(None, **{name: 5.0})
    assert case.history == []
    last = case.seq
    all_the_time(case, case.now_s + 61)
    case.is_raised("R10-etco2", "medium", (sedated, last), "EtCO2")


def test_r10_no_etco2_is_asked_for_in_light_or_ended_sedation() -> None:
    case = monitored()
    case.says(70, "sedation", level="minimal")
    all_the_time(case, 300)
    case.says(300, "sedation", level="moderate")
    case.says(310, "sedation", level="none")
    all_the_time(case, 500)
    assert case.history == []


def test_r10_what_it_lacks() -> None:
    case = Case("R10")
    assert case.lacking == {"R10": "no NIBP, heart rate, SpO2 source"}
    case.vitals(10, spo2_pct=98, pulse_rate_bpm=70)
    case.enters(60, "preparation")
    case.wait(500)
    assert case.lacking == {"R10": "no NIBP source"}


# --- R15: possible vasovagal reaction -----------------------------------------------------------------------------


def lying(rate: float = 80, systolic: float = 140) -> Case:
    """Ten minutes of quiet, a cuff pressure in each fifth."""
    case = Case("R15")
    case.enters(10, "preparation")
    for at_s in range(20, 600, 5):
        if at_s % 100 == 0:
            case.vitals(at_s, nibp_systolic_mmhg=systolic)
        case.vitals(at_s, heart_rate_bpm=rate)
    return case


def falls(case: Case, rate: float, systolic: float) -> int:
    """The rate falls at 600 s; half a minute later the cuff says this. The seq of the cuff's."""
    for at_s in range(600, 630, 5):
        case.vitals(at_s, heart_rate_bpm=rate)
    return case.vitals(630, nibp_systolic_mmhg=systolic)


def test_r15_both_fall() -> None:
    case = lying()
    last = falls(case, 60, 110)
    highest = next(value for value in case.facts.vitals("nibp_systolic_mmhg") if value.value == 140)
    case.is_raised(
        "R15", "high", (highest.seq, last, last - 1), "rate 60/min, before 80", "systolic 110 mmHg, before 140"
    )


@pytest.mark.parametrize(
    ("before", "rate", "systolic", "raised"),
    [
        (80, 64, 110, False),  # by 20 %: not over it
        (80, 63.9, 110, True),
        (80, 60, 120, True),  # by 20 mmHg
        (80, 60, 121, False),
        (55, 49.9, 110, True),  # below 50
        (55, 50, 110, False),
        (48, 46, 110, False),  # slow anyway: it has not fallen below 50
        (48, 38, 110, True),
        (80, 95, 110, False),  # bleeding, or a drug: not that
        (80, 80, 80, False),
        (80, 40, 140, False),
    ],
)
def test_r15_its_borders(before: float, rate: float, systolic: float, raised: bool) -> None:
    case = lying(before)
    falls(case, rate, systolic)
    assert bool(case.alerts) == raised


def test_r15_the_pressure_first_the_rate_later() -> None:
    case = lying()
    case.vitals(600, nibp_systolic_mmhg=100)
    assert case.alerts == {}
    case.steady(602, 640, heart_rate_bpm=50)
    assert list(case.alerts) == ["R15"]


def test_r15_cleared_when_the_rate_comes_back_and_raised_again_by_the_next_pressure() -> None:
    case = lying()
    falls(case, 60, 110)
    case.steady(632, 660, heart_rate_bpm=78)
    assert case.history == ["+R15", "-R15"]
    case.steady(662, 680, heart_rate_bpm=60)
    assert case.history == ["+R15", "-R15"], "the same pressure makes no second alert"
    case.vitals(None, nibp_systolic_mmhg=105)
    assert case.history == ["+R15", "-R15", "+R15~2"]


@pytest.mark.parametrize(("falls_s", "raised"), [(780, True), (781, False)])
def test_r15_how_old_the_pressure_may_be(falls_s: float, raised: bool) -> None:
    case = lying()
    case.vitals(600, nibp_systolic_mmhg=100)
    case.steady(602, 768, heart_rate_bpm=80)
    case.vitals(falls_s, heart_rate_bpm=55)
    assert bool(case.alerts) == raised


def test_r15_what_is_now_and_what_was_before_are_medians_of_their_times() -> None:
    case = Case("R15", present_s=20.0, before_from_s=100.0, before_to_s=50.0)
    case.vitals(0, nibp_systolic_mmhg=140, heart_rate_bpm=200)
    for at_s, rate in ((20, 80), (40, 80), (70, 80), (75, 200), (99, 200), (100, 60), (110, 60), (120, 200)):
        case.vitals(at_s, heart_rate_bpm=rate)
    case.vitals(120, nibp_systolic_mmhg=110)
    assert "heart rate 60/min, before 80;" in case.alerts["R15"].text


def test_r15_an_old_pressure_says_nothing_of_now() -> None:
    case = lying()
    case.vitals(600, nibp_systolic_mmhg=100)
    case.steady(602, 780, heart_rate_bpm=80)
    case.steady(781, 800, heart_rate_bpm=55)
    assert case.history == []


def test_r15_a_rate_that_is_not_told_any_more_has_not_fallen() -> None:
    case = lying()
    case.wait(640)
    case.vitals(640, nibp_systolic_mmhg=100)
    assert case.alerts == {}


def test_r15_the_thresholds_are_parameters() -> None:
    case = Case("R15", fall_pct=50.0, low_bpm=30.0, systolic_fall_mmhg=60.0, within_s=60.0)
    case.vitals(20, nibp_systolic_mmhg=140)
    case.steady(20, 600, heart_rate_bpm=80)
    falls(case, 41, 70)
    assert case.alerts == {}
    case.steady(632, 645, heart_rate_bpm=39)
    assert list(case.alerts) == ["R15"]
    case.steady(646, 700, heart_rate_bpm=39)
    assert case.history == ["+R15", "-R15"], "the pressure is older than a minute"


def test_r15_what_it_lacks() -> None:
    case = Case("R15")
    assert case.lacking == {"R15": "no heart rate source"}
    case.vitals(10, heart_rate_bpm=70)
    assert case.lacking == {"R15": "no NIBP source"}
    case.vitals(20, nibp_systolic_mmhg=140)
    assert case.lacking == {}


def test_r15_a_message_with_both_is_named_once() -> None:
    case = lying()
    case.steady(600, 628, heart_rate_bpm=60)
    both = case.vitals(630, heart_rate_bpm=60, nibp_systolic_mmhg=110)
    assert case.alerts["R15"].facts.count(both) == 1


# --- R16: dose ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "at_level", "above", "words"),
    [
        ("fluoro_time_s", 120.0, 120.1, "Fluoroscopy time 120.1 s is above the room's alert level of 120 s."),
        (
            "dap_gy_m2",
            0.001,
            0.00123,
            "Dose area product 1230 cGy.cm2 is above the room's alert level of 1000 cGy.cm2.",
        ),
        ("air_kerma_rp_gy", 0.1, 0.2, "reference point 200 mGy is above the room's alert level of 100 mGy."),
    ],
)
def test_r16(quantity: str, at_level: float, above: float, words: str) -> None:
    case = Case("R16")
    case.dose(300, **{quantity: at_level})
    assert case.alerts == {}
    told = case.dose(310, **{quantity: above})
    case.is_raised(f"R16-{quantity}", "medium", (told,), words)
    case.dose(320, **{quantity: above * 2})
    assert case.history == [f"+R16-{quantity}"], "once"
    case.dose(330, **{quantity: at_level})  # a better source, that says less
    case.dose(340, **{quantity: above})
    assert case.history[1:] == [f"-R16-{quantity}", f"+R16-{quantity}~2"]


def test_r16_each_quantity_has_its_alert() -> None:
    case = Case("R16")
    case.dose(300, fluoro_time_s=130, dap_gy_m2=0.002, air_kerma_rp_gy=0.2)
    assert list(case.alerts) == ["R16-fluoro_time_s", "R16-dap_gy_m2", "R16-air_kerma_rp_gy"]


def test_r16_a_level_of_0_is_none() -> None:
    case = Case("R16", fluoro_time_s=0.0, dap_cgy_cm2=226.0)
    case.dose(300, fluoro_time_s=1e6, dap_gy_m2=226e-6)
    assert case.alerts == {}, "at the level, whatever binary fractions do"
    case.dose(300, dap_gy_m2=230e-6)
    assert list(case.alerts) == ["R16-dap_gy_m2"]


def test_r16_between_cases_too() -> None:
    case = Case("R16", started=False)
    told = case.dose(300, fluoro_time_s=500)
    case.is_raised("R16-fluoro_time_s", "medium", (told,))


def test_r16_what_it_lacks() -> None:
    case = Case("R16")
    assert case.lacking == {"R16": "nothing told of dose"}
    case.dose(300, dap_gy_m2=0.0002)
    assert case.lacking == {"R16": "nothing told of the fluoroscopy time, air kerma at the reference point"}
    case.dose(310, dap_gy_m2=0.0002, fluoro_time_s=20, air_kerma_rp_gy=0.01)
    assert case.lacking == {}


# --- R17: injection pressure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pressure_mmhg", "raised"), [(775, False), (776, True)])
def test_r17_read_by_somebody(pressure_mmhg: float, raised: bool) -> None:
    case = Case("R17")
    case.says(500, "injection_pressure", pressure_mmhg=pressure_mmhg)
    assert bool(case.alerts) == raised
    assert case.lacking == {}


def test_r17_too_high_is_said_once_with_the_first_value() -> None:
    case = Case("R17")
    high = case.says(500, "injection_pressure", pressure_mmhg=930)
    case.says(510, "injection_pressure", pressure_mmhg=990)
    case.is_raised("R17-limit", "info", (high,), "930 mmHg is above 775 mmHg")
    case.says(520, "injection_pressure", pressure_mmhg=100)
    assert case.history == ["+R17-limit"]
    case.corrects(530, high, pressure_mmhg=93)
    case.corrects(540, high + 2, pressure_mmhg=99)
    assert case.history == ["+R17-limit", "-R17-limit"]


def test_r17_told_by_the_pump_while_it_infuses() -> None:
    case = Case("R17")
    case.pump_starts(480, pressure_mmhg=100)
    case.pump_tells(482, state="alarm", pressure_mmhg=5000)
    case.pump_tells(483, pressure_mmhg=775)
    assert case.alerts == {}
    high = case.pump_tells(484, pressure_mmhg=800)
    case.is_raised("R17-limit", "info", (high,), "800 mmHg")
    case.pump_starts(600, pressure_mmhg=100)
    case.pump_tells(602, pressure_mmhg=800)
    assert case.history == ["+R17-limit", "-R17-limit", "+R17-limit~2"]


@pytest.mark.parametrize(
    ("for_s", "to_mmhg", "raised"), [(5, 90, False), (5.1, 90, True), (60, 100, False), (60, 99, True)]
)
def test_r17_a_fall_to_less_than_half_for_more_than_five_seconds(for_s: float, to_mmhg: float, raised: bool) -> None:
    case = Case("R17")
    case.pump_starts(480, pressure_mmhg=100)
    peak = case.pump_tells(482, pressure_mmhg=200)
    below = case.pump_tells(484, pressure_mmhg=to_mmhg)
    last = case.pump_tells(484 + for_s, pressure_mmhg=to_mmhg)
    if raised:
        case.is_raised("R17-fall", "info", (peak, below, last), f"from 200 to {to_mmhg} mmHg")
    else:
        assert case.alerts == {}


def test_r17_of_two_peaks_the_first_is_named() -> None:
    case = Case("R17")
    case.pump_starts(480, pressure_mmhg=100)
    peak, *_ = [case.pump_tells(at_s, pressure_mmhg=200) for at_s in (482, 484)]
    below, *_, last = [case.pump_tells(at_s, pressure_mmhg=50) for at_s in (486, 488, 492)]
    case.is_raised("R17-fall", "info", (peak, below, last))


def test_r17_a_fall_that_comes_back_is_none() -> None:
    case = Case("R17")
    case.pump_starts(480, pressure_mmhg=200)
    for at_s in range(482, 520, 4):
        case.pump_tells(at_s, pressure_mmhg=90)
        case.pump_tells(at_s + 2, pressure_mmhg=110)
    assert case.alerts == {}


def test_r17_two_pumps_are_two_pressures() -> None:
    case = Case("R17")
    case.pump_starts(480, pressure_mmhg=200)
    for at_s in range(482, 520, 4):
        case.pump_tells(at_s, "pump-2", pressure_mmhg=50)
        case.pump_tells(at_s + 2, pressure_mmhg=200)
    assert case.alerts == {}


def test_r17_the_limits_are_parameters() -> None:
    case = Case("R17", limit_mmhg=300.0, fall_pct=80.0, fall_s=20.0)
    case.pump_starts(480, pressure_mmhg=290)
    case.pump_tells(482, pressure_mmhg=60)
    case.pump_tells(500, pressure_mmhg=60)
    assert case.alerts == {}
    case.pump_tells(502, pressure_mmhg=57)
    case.pump_tells(523, pressure_mmhg=57)
    case.says(530, "injection_pressure", pressure_mmhg=301)
    assert list(case.alerts) == ["R17-fall", "R17-limit"]


def test_r17_what_it_lacks() -> None:
    case = Case("R17")
    case.pump_starts(480)
    case.pump_tells(482)
    assert case.lacking == {"R17": "nothing gives the injection pressure"}


# --- R18: discharge -------------------------------------------------------------------------------------------------

CHECKED = {"padss": "no PADSS", "pain": "no pain score afterwards", "motor_sensory": "no motor check afterwards"}


def recovered(*without: str, padss: int = 10) -> Case:
    case = Case("R18")
    case.says(40, "pain", occasion="baseline")
    case.pump_starts(480)
    for name in CHECKED:
        if name not in without:
            fields = {"activity": padss - 8} if name == "padss" else {}
            case.says(700, name, **fields)
    return case


@pytest.mark.parametrize("padss", [9, 10])
def test_r18_all_checked(padss: int) -> None:
    case = recovered(padss=padss)
    assert case.lacking == {"R18": "no discharge is recorded"}
    case.says(840, "discharge")
    assert (case.alerts, case.lacking) == ({}, {})


def test_r18_a_padss_of_8() -> None:
    case = recovered("padss")
    padss = case.says(700, "padss", activity=0)
    gone = case.says(840, "discharge")
    case.is_raised("R18", "medium", (gone, padss), "PADSS 8, not 9")
    case.says(850, "padss", happened_s=830)
    assert case.history == ["+R18", "-R18"]
    case.says(860, "padss", happened_s=835, activity=0)
    assert case.history[-1] == "+R18~2", "the last before the discharge counts"


@pytest.mark.parametrize("name", CHECKED)
def test_r18_one_is_missing(name: str) -> None:
    case = recovered(name)
    gone = case.says(840, "discharge")
    assert case.alerts["R18"].facts[0] == gone
    assert case.alerts["R18"].text == f"Discharged with {CHECKED[name]}."
    case.says(850, name)
    assert list(case.alerts) == ["R18"], "after the discharge is too late"
    case.says(860, name, happened_s=840)
    assert case.history == ["+R18", "-R18"]


def test_r18_all_are_missing() -> None:
    case = recovered(*CHECKED)
    gone = case.says(840, "discharge")
    case.is_raised("R18", "medium", (gone,), "no PADSS, no pain score afterwards, no motor check afterwards")
    case.withdraws(850, gone)
    assert case.history == ["+R18", "-R18"]


def test_r18_before_the_injection_is_not_afterwards() -> None:
    case = recovered("pain", "motor_sensory")
    case.says(710, "pain", happened_s=100)
    case.says(720, "motor_sensory", happened_s=100)
    case.says(840, "discharge")
    assert "no pain score afterwards, no motor check afterwards" in case.alerts["R18"].text


def test_r18_between_two_injections_is_not_afterwards() -> None:
    case = recovered("pain", "motor_sensory")
    case.says(500, "pain")
    case.says(500, "motor_sensory")
    case.pump_starts(600)
    case.says(700, "padss")
    case.says(840, "discharge")
    assert "no pain score afterwards, no motor check afterwards" in case.alerts["R18"].text
    case.pump_starts(900)  # for the next patient, or to empty it
    assert list(case.alerts) == ["R18"]


def test_r18_nothing_was_injected() -> None:
    case = Case("R18")
    for name in CHECKED:
        case.says(400, name)
    case.says(840, "discharge")
    assert case.alerts == {}


@pytest.mark.parametrize(("to", "raised"), [("home", True), ("other", True), ("ward", False), ("emergency", False)])
def test_r18_padss_is_for_who_goes_home(to: str, raised: bool) -> None:
    case = recovered(padss=8)
    case.says(840, "discharge", to=to)
    assert bool(case.alerts) == raised


def test_r18_the_score_is_a_parameter() -> None:
    case = Case("R18", padss=8)
    case.says(480, "drug_given", route="epidural", component=DEXAMETHASONE)
    for name in CHECKED:
        case.says(700, name, **({"activity": 0} if name == "padss" else {}))
    case.says(840, "discharge")
    assert case.alerts == {}
