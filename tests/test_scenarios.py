"""The scenarios against the room: each is played on the virtual clock and raises the alerts that it says, and no other;
those that go well are complete; and each step of the staff is a command that the room knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from virtual.room import Played, play

from esi_room.commands import COMMANDS, SAYINGS, Say
from esi_room.events import Entry
from esi_room.procedure.again import Mismatch, mismatches
from esi_room.procedure.rules import table
from esi_room.record.reader import journal_path
from esi_room.record.verify_room import verify_room
from simulators import scenario
from simulators.clock import ScenarioClock
from simulators.staff import Staff
from simulators.truth import TruthLog

NOMINAL = ("lumbar_interlaminar", "lumbar_transforaminal", "caudal", "cervical_interlaminar")
RULES = {f"R{name.removeprefix('rule_r').lstrip('0')}": name for name in scenario.names() if name.startswith("rule_r")}

# By rule: the entries that its alert must name as what led to it.
LED_TO_IT = {
    "R1": ["carm.image"],
    "R2": ["procedure.phase"],
    "R3": ["clinical.approach", "clinical.contrast", "clinical.hand_injection"],
    "R4": ["clinical.drawn_up", "procedure.started"],
    "R5": ["clinical.drawn_up", "clinical.earlier_injections", "procedure.started"],
    "R6": ["procedure.started"],
    "R7": ["carm.image", "carm.image", "carm.image", "procedure.phase"],
    "R8": ["clinical.allergies", "clinical.contrast"],
    "R9": ["clinical.contrast", "pump.started"],
    "R10": ["vitals.numeric"],
    "R11": ["clinical.assessment", "clinical.drug_given"],
    "R12": ["clinical.sedation", "procedure.started"],
    "R13": ["clinical.approach", "clinical.approach"],
    "R14": ["clinical.approach", "clinical.time_out"],
    "R15": ["vitals.numeric", "vitals.numeric"],
    "R16": ["carm.dose"],
    "R17": ["clinical.injection_pressure"],
    "R18": ["clinical.discharge", "clinical.padss"],
}


# --- what they say ----------------------------------------------------------------------------------------------------


class Hearing(Staff):
    """Staff whose console keeps what would go out."""

    def __init__(self, case: scenario.Scenario) -> None:
        people = {"actor": case.actor, "identity": case.identity, "procedure": case.procedure}
        super().__init__("mqtt://127.0.0.1", "esi-1", ScenarioClock(), TruthLog(), **people)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self._online.set()

    async def _publish(self, topic: str, request: Any) -> int:
        self.said.append((topic.rpartition("/")[2], dict(request)))
        self._asked[request["id"]].set_result({"ok": True})
        return 1


@pytest.mark.parametrize("name", scenario.names())
async def test_the_staff_say_what_the_room_understands(name: str) -> None:
    case = scenario.load(name)
    staff = Hearing(case)
    for step in case.steps:
        if step.who == "staff":
            await staff.do(step.do, **step.params)
    for command, request in staff.said:
        asked = msgspec.convert(request, COMMANDS[command])
        if isinstance(asked, Say):
            assert list(asked.form().problems()) == [], request


def test_every_form_is_said_somewhere() -> None:
    said = {step.do for name in scenario.names() for step in scenario.load(name).steps if step.who == "staff"}
    assert set(SAYINGS) - said == {"correction"}, "a correction names an entry by its number"


def test_every_rule_has_a_scenario_that_breaks_it() -> None:
    assert set(RULES) == set(LED_TO_IT) == set(table.RULES)
    assert {rule: scenario.load(name).expect for rule, name in RULES.items()} == {rule: (rule,) for rule in RULES}


# --- how they go ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", scenario.names())
def test_it_raises_the_alerts_that_it_says(name: str, tmp_path: Path) -> None:
    played = play(name, tmp_path)
    assert (played.refused, played.stored) == ([], True)
    assert set(played.alerts()) == set(scenario.load(name).expect)
    assert all(report.ok for report in verify_room(played.data))
    assert followed_again(played) == []
    check = CHECKS.get(name)
    if check is not None:
        check(played)


def followed_again(played: Played) -> list[Mismatch]:
    """Where the records say something else than what follows from them: alerts, phases, deliveries, completeness."""
    journals = [journal_path(played.data, record).read_bytes().splitlines() for record in played.procedures]
    return [
        mismatch
        for lines in journals
        for mismatch in mismatches([msgspec.json.decode(line, type=Entry) for line in lines])
    ]


def test_half_an_hour_passes_in_seconds_and_twice_the_same_to_the_last_octet(tmp_path: Path) -> None:
    case = scenario.load("lumbar_interlaminar")
    slow = case._replace(steps=tuple(step._replace(at_s=step.at_s * 2.1) for step in case.steps))
    one, other = (play(slow, tmp_path / name) for name in ("one", "other"))
    assert one.journal() == other.journal()
    assert one.lasted_s > 1800
    assert one.took_s < one.lasted_s / 10
    assert followed_again(one) == []


def complete(played: Played) -> None:
    (report,) = (entry["data"] for entry in played.of("procedure.completeness"))
    assert report["complete"], report
    assert (report["lacks"], report["deviations"], report["not_assessable"]) == ([], [], {})
    assert [syringe["difference_ml"] for syringe in report["syringes"]] == [0.0]
    phases = [entry["data"]["phase"] for entry in played.of("procedure.phase")]
    assert phases == ["evaluation", "preparation", "guidance", "injection", "recovery"]


def broken(played: Played) -> None:
    """One alert, from the entries that led to it, all of them before it."""
    (alert,) = played.of("alert.raised")
    kinds = {entry["seq"]: entry["type"] for entry in played.entries}
    facts = set(alert["data"]["facts"])
    assert sorted(kinds[seq] for seq in facts) == LED_TO_IT[alert["data"]["rule"]]
    assert max(facts) < alert["seq"]


def fainted(played: Played) -> None:
    alerts = [(entry["type"], entry["data"]["alert"], entry["data"]["actor"]) for entry in played.of("alert.")]
    assert alerts == [
        ("alert.raised", "R15", None),
        ("alert.acknowledged", "R15", "Nurse Sample"),
        ("alert.cleared", "R15", None),
    ]
    [complication] = played.of("clinical.complication")
    assert complication["data"]["kind"] == "vasovagal"
    assert len(played.of("procedure.delivery")) == 1, "it went on afterwards"


def moved(played: Played) -> None:
    course = [
        entry["data"].get("action") or entry["data"].get("state")
        for entry in played.entries
        if entry["type"] in ("clinical.needle", "clinical.contrast", "clinical.hand_injection")
    ]
    assert course == ["placed", "repositioned", "repositioned", None, "begin", "end", "removed"]


def given_up(played: Played) -> None:
    [end] = played.of("procedure.ended")
    assert (end["data"]["outcome"], end["data"]["reason"]) == ("discontinued", "Dural puncture")
    assert played.of("pump.started") == played.of("procedure.delivery") == []


def stalled(played: Played) -> None:
    [delivery] = (entry["data"] for entry in played.of("procedure.delivery"))
    assert delivery["remarks"] == ["occlusion"] and delivery["delivered_ml"] == 6.0
    assert [interruption["reason"] for interruption in delivery["interruptions"]] == ["alarm"]


def left_out(played: Played) -> None:
    [contrast] = (entry["data"] for entry in played.of("clinical.contrast"))
    assert contrast["given"] is False and contrast["reason"]


def mixed_up(played: Played) -> None:
    verdicts = [entry["data"]["identity"] for entry in played.of("carm.image") if entry["data"]["rows"]]
    assert verdicts[0] == "mismatch" and set(verdicts[1:]) == {"match"}


CHECKS: dict[str, Callable[[Played], None]] = {
    **dict.fromkeys(NOMINAL, complete),
    **dict.fromkeys(RULES.values(), broken),
    "vasovagal": fainted,
    "intravascular_uptake": moved,
    "dural_puncture": given_up,
    "occlusion": stalled,
    "contrast_allergy": left_out,
    "patient_mix_up": mixed_up,
}
