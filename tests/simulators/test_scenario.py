"""Scenarios that come along are sound; mistakes are named, all of them, each with its line."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from simulators import scenario
from simulators.carm.faults import FAULTS
from simulators.carm.phantom import skin_to_target_mm
from simulators.scenario import Scenario, ScenarioError

GOOD = """\
title = "t"
seed = 1
procedure = "p"
[patient]
name = "A^B"
id = "1"
birth_date = "1961-04-12"
[staff]
actor = "Dr. A"
[[device]]
id = "pump-1"
kind = "new_era"
[[device]]
id = "carm"
kind = "carm"
matrix = 64
[[step]]
at_s = 0
who = "pump-1"
do = "program"
rate_ml_min = 5
say = "hello"
"""


@pytest.mark.parametrize("name", scenario.names())
def test_the_library_is_sound(name: str) -> None:
    loaded = scenario.load(name)
    staff = [step.do for step in loaded.steps if step.who == "staff" and step.do != "order"]
    assert staff[0] == "start" and staff[-1] == loaded.steps[-1].do == "end"
    assert {device.kind for device in loaded.devices} >= {"ge_dri", "new_era", "carm"}


@pytest.fixture
def lumbar() -> Scenario:
    return scenario.load("lumbar_interlaminar")


def test_the_lumbar_case_lasts_as_long_as_one(lumbar: Scenario) -> None:
    assert 12 * 60 <= lumbar.steps[-1].at_s <= 15 * 60


def test_the_lumbar_case_goes_through_the_phases_in_order(lumbar: Scenario) -> None:
    phases = [step.params["phase"] for step in lumbar.steps if step.do == "phase"]
    assert phases == ["evaluation", "preparation", "guidance", "injection", "recovery"]


def test_blood_pressure_at_least_every_five_minutes(lumbar: Scenario) -> None:
    times = [step.at_s for step in lumbar.steps if step.do == "nibp_start"]
    assert max(b - a for a, b in itertools.pairwise([0.0, *times, lumbar.steps[-1].at_s])) <= 300


def test_fluoroscopy_time_is_an_interlaminar_injections(lumbar: Scenario) -> None:
    shots = [step.params for step in lumbar.steps if step.who == "carm"]
    seconds = sum(p.get("fluoro_s", 0.0) + p.get("frames", 0) / p.get("fps", 8.0) for p in shots)
    assert 18 <= seconds <= 23


def test_the_needle_goes_in_step_by_step_and_reaches_the_target(lumbar: Scenario) -> None:
    depths = [step.params["needle_depth_mm"] for step in lumbar.steps if "needle_depth_mm" in step.params]
    assert depths == sorted(depths)
    assert depths[-1] == pytest.approx(skin_to_target_mm(), abs=0.1)
    assert {step.params.get("view") for step in lumbar.steps if step.who == "carm"} >= {"ap", "lateral"}


def test_the_worklist_is_asked_before_the_case_and_everything_is_closed_after_it(lumbar: Scenario) -> None:
    course = [(step.who, step.do) for step in lumbar.steps]
    wanted = [("staff", "order"), ("carm", "worklist"), ("staff", "start"), ("carm", "end_case"), ("staff", "end")]
    assert [step for step in course if step in wanted] == wanted


def test_everything_that_can_go_wrong_with_the_c_arm_does() -> None:
    faults = scenario.load("carm_faults")
    done = {f"{step.do} {key}={value}" for step in faults.steps for key, value in step.params.items()}
    done |= {step.do for step in faults.steps}
    done |= {f"{key}={value}" for device in faults.devices for key, value in device.settings.items()}
    assert set(FAULTS) - done == {"dose_report=continued"}, "one C-arm cannot be set both ways"


def test_parameters_of_a_step_are_kept() -> None:
    (step,) = scenario.parse(GOOD, "good.toml").steps
    assert (step.who, step.do, step.params, step.say) == ("pump-1", "program", {"rate_ml_min": 5}, "hello")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('title = "t"', "", "good.toml:1: title is missing"),
        ("seed = 1", "seed = -1", "seed -1"),
        ("seed = 1", "seed = 1\ncolour = 2", "colour is unknown; one of device, patient"),
        ("1961-04-12", "12.4.61", "good.toml:4: [patient] birth_date '12.4.61': YYYY-MM-DD"),
        ('id = "1"', 'id = "1"\nheight_cm = 180', "good.toml:4: [patient]: height_cm is unknown"),
        ("new_era", "new_aera", "good.toml:10: pump-1: kind 'new_aera' is unknown; one of ge_dri"),
        ('id = "pump-1"', 'id = "carm"', "good.toml:13: [[device]] id 'carm'"),
        ('id = "pump-1"', 'id = "pump/1"', "good.toml:10: [[device]] id 'pump/1'"),
        ("matrix = 64", "matrics = 64", "good.toml:13: carm: matrics is unknown"),
        ("matrix = 64", 'dose_report = "often"', "good.toml:13: carm: dose_report 'often' is not 'none' or 'end' or"),
        (
            "matrix = 64",
            'dose_report_fault = "odd"',
            "good.toml:13: carm: dose_report_fault 'odd' is not 'text_for_num' or 'comma'",
        ),
        ("matrix = 64", "mpps = 1", "good.toml:13: carm: mpps 1 is not true or false"),
        ("matrix = 64", 'matrix = "64"', "good.toml:13: carm: matrix '64' is not a whole number"),
        ('who = "pump-1"', 'who = "pump"', "good.toml:17: step 1: who 'pump' is unknown; one of staff, patient"),
        ('do = "program"', 'do = "fly"', "good.toml:17: step 1: pump-1 cannot 'fly'; one of clear_occlusion"),
        ("rate_ml_min = 5", "rate = 5", "good.toml:17: step 1: pump-1 program: rate is unknown; one of diameter_mm"),
        ("rate_ml_min = 5", 'rate_ml_min = "5"', "step 1: pump-1 program: rate_ml_min '5' is not"),
        ("at_s = 0", "at_s = -1", "good.toml:17: step 1: at_s -1"),
        ('who = "pump-1"\ndo = "program"\nrate_ml_min = 5', 'who = "staff"\ndo = "phase"', "phase is missing"),
        ('who = "pump-1"\ndo = "program"\nrate_ml_min = 5', 'who = "patient"\ndo = "sneeze"', "one of anxiety"),
        ("[[step]]", "[[stop]]", "there must be at least one [[step]]"),
        ("seed = 1", "seed =", "good.toml: Invalid value (at line 2"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        scenario.parse(GOOD.replace(old, new), "good.toml")
    assert any(problem in line for line in caught.value.problems), caught.value.problems


def test_every_mistake_at_once() -> None:
    bad = GOOD.replace("seed = 1", "seed = true").replace("matrix", "matrics").replace('"program"', '"fly"')
    with pytest.raises(ScenarioError) as caught:
        scenario.parse(bad, "bad.toml")
    assert len(caught.value.problems) == 3


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="one of carm_faults, lumbar_interlaminar, quick"):
        scenario.load(str(tmp_path / "nothing.toml"))


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert scenario.load(str(path)).title == "t"
