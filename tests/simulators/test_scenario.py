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
patient = {name = "A^B", id = "1", birth_date = "1961-04-12"}
staff = {actor = "Dr. A"}
device = [
  {id = "pump-1", kind = "new_era"},
  {id = "carm", kind = "carm", matrix = 64},
]
step = [
  {at = "0:00", who = "pump-1", do = "program", rate_ml_min = 5, say = "hello"},
]
"""
STEP = 'who = "pump-1", do = "program", rate_ml_min = 5'


@pytest.mark.parametrize("name", scenario.names())
def test_the_library_is_sound(name: str) -> None:
    loaded = scenario.load(name)
    staff = [step.do for step in loaded.steps if step.who == "staff" and step.do != "order"]
    assert staff[0] == "start" and staff[-1] == loaded.steps[-1].do == "end"
    assert {device.kind for device in loaded.devices} >= {"ge_dri", "new_era", "carm"}


@pytest.mark.parametrize("name", scenario.names())
def test_each_is_a_page_at_most(name: str) -> None:
    lines = (scenario.LIBRARY / f"{name}.toml").read_text().splitlines()
    assert len(lines) <= 85 and max(map(len, lines)) <= 230


@pytest.fixture
def lumbar() -> Scenario:
    return scenario.load("lumbar_interlaminar")


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("lumbar_interlaminar", (18, 23)),
        ("lumbar_transforaminal", (33, 39)),
        ("caudal", (15, 21)),
        ("cervical_interlaminar", (18, 23)),
    ],
)
def test_a_case_that_goes_well_is_like_a_real_one(name: str, seconds: tuple[float, float]) -> None:
    """In its length, its fluoroscopy time as published for the approach, and how often the cuff is inflated."""
    case = scenario.load(name)
    assert 12 * 60 <= case.steps[-1].at_s <= 20 * 60
    shots = [step.params for step in case.steps if step.who == "carm"]
    assert seconds[0] <= sum(p.get("fluoro_s", 0.0) + p.get("frames", 0) / 8.0 for p in shots) <= seconds[1]
    cuff = [step.at_s for step in case.steps if step.do == "nibp_start"]
    assert max(b - a for a, b in itertools.pairwise([0.0, *cuff, case.steps[-1].at_s])) <= 300


def test_the_lumbar_case_goes_through_the_phases_in_order(lumbar: Scenario) -> None:
    phases = [step.params["phase"] for step in lumbar.steps if step.do == "phase"]
    assert phases == ["evaluation", "preparation", "guidance", "injection", "recovery"]


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


def test_the_staff_say_any_command_with_its_fields_as_they_are() -> None:
    said = 'who = "staff", do = "drawn_up", syringe = "A", components = [{drug = "x", volume_ml = 1.5}], actor = "B"'
    (step,) = scenario.parse(GOOD.replace(STEP, said), "good.toml").steps
    assert step.params == {"syringe": "A", "components": [{"drug": "x", "volume_ml": 1.5}], "actor": "B"}


def test_others_of_the_staff_speak_under_their_own_names() -> None:
    people = GOOD.replace('"Dr. A"', '"Dr. A", nurse = "Nurse B"')
    (step,) = scenario.parse(people.replace(STEP, 'who = "nurse", do = "note", text = "x"'), "good.toml").steps
    assert (step.who, step.params) == ("staff", {"actor": "Nurse B", "text": "x"})
    (step,) = scenario.parse(people.replace(STEP, 'do = "note", text = "x"'), "good.toml").steps
    assert (step.who, step.params) == ("staff", {"text": "x"})


def test_what_a_scenario_is_to_raise() -> None:
    assert scenario.parse(GOOD, "good.toml").expect == ()
    expecting = GOOD.replace("seed = 1", 'seed = 1\nexpect = ["R1", "R18", "carm.identity_mismatch"]')
    assert scenario.parse(expecting, "good.toml").expect == ("R1", "R18", "carm.identity_mismatch")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('title = "t"', "", "good.toml:1: title is missing"),
        ("seed = 1", "seed = -1", "good.toml:2: seed -1"),
        ("seed = 1", "seed = 1\ncolour = 2", "good.toml:3: colour is unknown; one of device, expect"),
        ("seed = 1", 'seed = 1\nexpect = "R1"', "good.toml:3: expect 'R1': a list of rules"),
        ("seed = 1", 'seed = 1\nexpect = ["R100"]', "good.toml:3: expect ['R100']: a list of rules"),
        ("seed = 1", 'seed = 1\nexpect = ["R1", "R1"]', "good.toml:3: expect ['R1', 'R1']: each rule once"),
        ("seed = 1", 'seed = 1\nwithout = ["note"]', "good.toml:3: without what? There is no extends"),
        ("seed = 1", 'seed = 1\nextends = "slow"', "good.toml:3: extends 'slow': one of carm_faults"),
        ("1961-04-12", "12.4.61", "good.toml:4: patient: birth_date '12.4.61': YYYY-MM-DD"),
        ('id = "1"', 'id = "1", height_cm = 180', "good.toml:4: patient: height_cm is unknown"),
        ("new_era", "new_aera", "good.toml:7: pump-1: kind 'new_aera' is unknown; one of ge_dri"),
        ('"Dr. A"', '"Dr. A", nurse = 7', "good.toml:5: staff: nurse = 7: a person's name in quotes"),
        ('"Dr. A"', '"Dr. A", carm = "B"', "good.toml:8: device id 'carm'"),
        ('id = "pump-1"', 'id = "carm"', "good.toml:8: device id 'carm'"),
        ('id = "pump-1"', 'id = "pump/1"', "good.toml:7: device id 'pump/1'"),
        ("matrix = 64", "matrics = 64", "good.toml:8: carm: matrics is unknown"),
        ("matrix = 64", 'dose_report = "often"', "good.toml:8: carm: dose_report 'often' is not 'none' or 'end' or"),
        (
            "matrix = 64",
            'dose_report_fault = "odd"',
            "good.toml:8: carm: dose_report_fault 'odd' is not 'text_for_num' or 'comma'",
        ),
        ("matrix = 64", "mpps = 1", "good.toml:8: carm: mpps 1 is not true or false"),
        ("matrix = 64", 'matrix = "64"', "good.toml:8: carm: matrix '64' is not a whole number"),
        ('who = "pump-1"', 'who = "pump"', "good.toml:11: step 1: who 'pump' is unknown; one of staff, patient"),
        ('do = "program"', 'do = "fly"', "good.toml:11: step 1: pump-1 cannot 'fly'; one of clear_occlusion"),
        ("rate_ml_min = 5", "rate = 5", "good.toml:11: step 1: pump-1 program: rate is unknown; one of diameter_mm"),
        ("rate_ml_min = 5", 'rate_ml_min = "5"', "step 1: pump-1 program: rate_ml_min '5' is not"),
        ('at = "0:00"', 'at = "0"', "good.toml:11: step 1: at '0': m:ss or h:mm:ss, in quotes"),
        ('at = "0:00"', "at_s = 0", "good.toml:11: step 1: at None: m:ss or h:mm:ss, in quotes"),
        (STEP, 'who = "staff", do = "phase"', "phase is missing"),
        (STEP, 'who = "staff", do = "time out"', "staff cannot 'time out'"),
        (STEP, 'who = "staff", do = "time_out", id = "1"', "time_out: id is what the staff's console gives itself"),
        (STEP, 'who = "staff", do = "x", days = [2026-11-23]', "staff x: a date or a time is written in quotes"),
        (STEP, 'who = "patient", do = "sneeze"', "one of anxiety"),
        ("step = [", "stop = [", "there must be at least one step = [{…}]"),
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


def written(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_a_scenario_as_another_with_differences(tmp_path: Path) -> None:
    note = 'step = [ {at = "0:01", who = "staff", do = "note", text = "x"} ]'
    written(
        tmp_path,
        base=GOOD,
        second=f'extends = "base"\ntitle = "2"\nexpect = ["R1"]\n{note}',
        third='extends = "second"\nwithout = ["program"]\nstaff = {actor = "Dr. C"}',
    )
    third = scenario.load(str(tmp_path / "third.toml"))
    assert (third.title, third.seed, third.actor, third.expect) == ("2", 1, "Dr. C", ("R1",))
    assert [(step.at_s, step.do) for step in third.steps] == [(1, "note")]


def test_a_mistake_of_the_base_is_named_with_the_bases_line(tmp_path: Path) -> None:
    written(tmp_path, base=GOOD.replace("program", "fly"), mine='extends = "base"\nstep = [ {at = "0:01"} ]')
    with pytest.raises(ScenarioError) as caught:
        scenario.load(str(tmp_path / "mine.toml"))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["base.toml", "mine.toml"]
    assert caught.value.problems[0].startswith("base.toml:11: step 1: pump-1 cannot 'fly'")


def test_scenarios_that_extend_each_other(tmp_path: Path) -> None:
    written(tmp_path, one='extends = "two"', two='title = "2"\nextends = "one"')
    with pytest.raises(ScenarioError) as caught:
        scenario.load(str(tmp_path / "one.toml"))
    assert caught.value.problems == ["two.toml:2: extends 'one': goes in a circle: one → two → one"]


def test_a_scenario_of_the_library_is_extended_from_anywhere(tmp_path: Path) -> None:
    path = written(tmp_path, mine='extends = "quick"\nseed = 99') / "mine.toml"
    assert scenario.load(str(path)) == scenario.load("quick")._replace(seed=99)


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"one of .*carm_faults, .*lumbar_interlaminar, .*quick"):
        scenario.load(str(tmp_path / "nothing.toml"))


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert scenario.load(str(path)).title == "t"
