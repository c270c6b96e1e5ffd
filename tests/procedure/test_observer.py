"""The observer: what follows from an entry stands right behind it, also after a restart, and the record followed again
says the same."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from esi_room.clock import ManualClock
from esi_room.commands import COMMANDS, Acknowledge, End, EnterPhase, Override, Start
from esi_room.errors import CommandRefused, RecordFull
from esi_room.events import CarmImage, Entry, Event, Payload, PumpStarted, Reading, VitalsNumeric
from esi_room.procedure import rules
from esi_room.procedure.again import mismatches
from esi_room.procedure.desk import Desk
from esi_room.procedure.observer import Observer
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path, records
from esi_room.record.verify_room import verify_room

LINES = 29  # of `whole_case`, at least
WHO = {"id": "1", "actor": "Dr. A", "client": "console-1"}


class Room:
    def __init__(self, journal: Journal, clock: ManualClock, observer: Observer, desk: Desk) -> None:
        self.journal, self.clock, self.observer, self.desk = journal, clock, observer, desk

    async def say(self, form: str, **fields: Any) -> int:
        command = msgspec.convert({**WHO, **fields}, COMMANDS[form])
        return (await self.desk.say(command)).seq

    async def phase(self, phase: str) -> int:
        return (await self.desk.enter(EnterPhase(**WHO, phase=phase))).seq

    def device(self, payload: Payload, source: str = "carm") -> int:
        return self.journal.append(Event(source=source, data=payload, received=self.clock.now())).seq

    def pressure(self, systolic: float) -> int:
        reading = Reading(code=150021, name="nibp_systolic_mmhg", value=systolic, unit="mm[Hg]", status="ok")
        return self.device(VitalsNumeric(readings=(reading,)), "monitor-1")

    async def entries(self, record: str | None = None) -> list[dict[str, Any]]:
        await self.journal.settled()
        path = journal_path(self.journal.root, record or self.journal.record)
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    async def of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in await self.entries() if entry["type"] == kind]

    def again(self, record: str | None = None) -> list[Any]:
        path = journal_path(self.journal.root, record or self.journal.record)
        return list(mismatches(msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines()))


@asynccontextmanager
async def opened(root: Path, clock: ManualClock | None = None) -> AsyncIterator[Room]:
    clock = clock or ManualClock()
    async with Journal.open(root, clock, Identity(room="esi-1")) as journal:
        observer = Observer(journal, clock, rules.load())
        desk = Desk(journal, clock, observer)
        await desk.resume()
        yield Room(journal, clock, observer, desk)
        await journal.settled()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with opened(tmp_path) as made:
        await made.desk.start(Start(**WHO, procedure="L4/5"))
        yield made


def image(**fields: Any) -> CarmImage:
    nothing = dict.fromkeys(("study_uid", "series_uid", "frames", "acquired", "duplicate_of", "columns"))
    told = {"sop_class_uid": "1.2", "sop_instance_uid": "1.2.3", "transfer_syntax_uid": "1.2.840.10008.1.2.1"}
    rest = {"sha256": "a" * 64, "size_bytes": 1, "rows": 512, "dose": {}, "peer": "OEC @ 127.0.0.1"}
    return CarmImage(**{**nothing, **told, **rest, **fields})


STARTED = PumpStarted(state="infusing", rate_ml_h=300.0, delivered_ml=0.0, target_ml=6.0, pressure_mmhg=None, drug=None)


async def test_an_alert_stands_right_behind_what_it_follows_from(room: Room) -> None:
    await room.phase("preparation")
    seq = room.device(image())
    room.device(STARTED, "pump-1")
    kinds = [(e["seq"] - seq, e["type"], e["data"].get("rule")) for e in await room.entries() if e["seq"] >= seq]
    assert kinds[:5] == [
        (0, "carm.image", None),
        (1, "procedure.phase", None),
        (2, "alert.raised", "R1"),
        (3, "alert.raised", "R2"),
        (4, "pump.started", None),
    ]
    assert room.again() == []


async def test_a_device_hints_at_a_phase_and_the_staff_may_confirm_it_or_take_it_back(room: Room) -> None:
    seq = room.device(image())
    (hinted,) = await room.of("procedure.phase")
    assert (hinted["data"]["phase"], hinted["data"]["origin"], hinted["data"]["fact"]) == ("guidance", "carm", seq)
    room.device(image(sop_instance_uid="1.2.4"))
    assert len(await room.of("procedure.phase")) == 1
    await room.phase("guidance")
    with pytest.raises(CommandRefused, match="already"):
        await room.phase("guidance")
    room.device(STARTED, "pump-1")
    await room.phase("guidance")  # the pump was started to be tried: back, with no reason
    assert [e["data"]["origin"] for e in await room.of("procedure.phase")] == ["carm", "staff", "pump-1", "staff"]
    assert room.again() == []


async def test_nothing_comes_between_a_command_and_its_effect(room: Room) -> None:
    room.device(image())
    await room.say("sedation", level="none")
    entries = await room.entries()
    for asked, effect in itertools.pairwise(entries):
        if asked["type"] == "operator.command":
            assert effect["type"] in ("procedure.started", "clinical.sedation")


async def test_time_passing_raises_an_alert_and_a_value_clears_it(room: Room) -> None:
    first = room.pressure(120)
    await room.phase("preparation")
    room.clock.advance(299)
    room.observer.look()
    assert await room.of("alert.raised") == []
    room.clock.advance(2)
    room.observer.look()
    room.observer.look()
    (raised,) = await room.of("alert.raised")
    assert (raised["data"]["alert"], raised["data"]["facts"]) == ("R10-nibp", [first])
    assert raised["data"]["source_text"].startswith("ASA")
    room.pressure(118)
    assert [e["data"]["alert"] for e in await room.of("alert.cleared")] == ["R10-nibp"]
    room.clock.advance(301)
    room.observer.look()
    assert [e["data"]["alert"] for e in await room.of("alert.raised")] == ["R10-nibp", "R10-nibp~2"]
    assert room.again() == []


async def test_a_step_of_the_wall_clock_makes_nothing_old(room: Room) -> None:
    room.pressure(120)
    await room.phase("preparation")
    room.clock.step(3600)
    room.observer.look()
    room.clock.step(-7200)
    room.observer.look()
    assert await room.of("alert.raised") == []


async def test_an_alert_is_seen_or_overridden_by_somebody_and_only_once_it_is_there(room: Room) -> None:
    with pytest.raises(CommandRefused, match="there is none"):
        await room.desk.acknowledge(Acknowledge(**WHO, alert="R1"))
    room.device(image())
    with pytest.raises(CommandRefused, match="there are R1, R2"):
        await room.desk.acknowledge(Acknowledge(**WHO, alert="R17"))
    await room.desk.acknowledge(Acknowledge(**WHO, alert="R1"))
    await room.desk.override(Override(**WHO, alert="R2", reason="emergency"))
    seen, overridden = await room.of("alert.acknowledged")
    assert (seen["data"]["actor"], seen["data"].get("overridden")) == ("Dr. A", None)
    assert (overridden["data"]["reason"], overridden["data"]["overridden"]) == ("emergency", True)
    assert room.again() == []


async def test_at_the_end_stands_what_is_lacking(room: Room) -> None:
    await room.say("consent", given=True)
    await room.say("drawn_up", syringe="A", components=[{"drug": "lidocaine", "volume_ml": 5}])
    await room.say("drug_discarded", syringe="A", volume_ml=3)
    await room.say("needle", action="placed")
    case = room.journal.record
    await room.desk.end(End(**WHO))
    entries = await room.entries(case)
    kinds = [(entry["type"], entry["data"].get("alert")) for entry in entries[-4:-1]]
    assert kinds == [("procedure.ended", None), ("alert.raised", "R7-views"), ("procedure.completeness", None)]
    said = entries[-2]["data"]
    assert said["deviations"] == ["R7-views"]
    lacking = {lack["item"] for lack in said["lacks"]}
    assert {"evaluation.allergies", "preparation.time_out", "recovery.discharge", "injection.phase"} <= lacking
    assert "evaluation.consent" not in lacking
    assert said["not_assessable"]["R10"] == "no NIBP, heart rate, SpO2 source"
    (syringe,) = said["syringes"]
    assert syringe["difference_ml"] == 2 and "2 mL not accounted for" in syringe["text"]
    assert not said["complete"]
    assert room.again(case) == []


@pytest.mark.parametrize("kept", range(1, LINES + 1))
async def test_wherever_a_crash_cuts_it_the_record_goes_on_and_nothing_comes_twice(tmp_path: Path, kept: int) -> None:
    """The same case, cut after each of its lines: what followed from the last one and was lost follows at the start."""
    clock = ManualClock()
    async with opened(tmp_path, clock) as room:
        await whole_case(room)
        case = room.journal.record
    path = journal_path(tmp_path, case)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) >= LINES
    path.write_bytes(b"".join(lines[:kept]))
    async with opened(tmp_path, clock) as room:
        if room.observer.facts.started is None:  # cut before it began
            assert kept <= 2
            return
        if room.journal.record == case:
            await room.desk.end(End(**WHO))
        entries = await room.entries(case)
        problems = [problem for report in verify_room(tmp_path) for problem in report.problems]
        assert [problem for problem in problems if problem.file.suffix != ".dcm"] == []  # there was no object
    alerts = [entry["data"]["alert"] for entry in entries if entry["type"] == "alert.raised"]
    assert len(alerts) == len(set(alerts))
    phases = [entry["data"]["phase"] for entry in entries if entry["type"] == "procedure.phase"]
    assert len(phases) == len(set(phases))
    ends = [entry["type"] for entry in entries if entry["type"] in ("procedure.ended", "procedure.completeness")]
    assert ends == ["procedure.ended", "procedure.completeness"]
    rules_said = [entry for entry in entries if entry["type"] == "procedure.rules"]
    assert len(rules_said) == 1


async def whole_case(room: Room) -> None:
    await room.desk.start(Start(**WHO, procedure="L4/5"))
    await room.phase("evaluation")
    await room.say("allergies", known=[{"substance": "contrast"}])
    room.pressure(120)
    room.device(image())
    contrast = {"drug": "iohexol", "volume_ml": 2}
    await room.say("contrast", given=True, imaging="live_fluoroscopy", component=contrast)
    await room.say("hand_injection", state="begin")
    room.clock.advance(30)
    await room.say("hand_injection", state="end", volume_ml=3)
    room.clock.advance(400)
    room.observer.look()
    await room.phase("recovery")
    await room.say("discharge", to="home", escort=True)


async def test_what_was_changed_in_a_record_does_not_follow_any_more(room: Room) -> None:
    await whole_case_in(room)
    lines = journal_path(room.journal.root, room.journal.record).read_bytes().splitlines()
    entries = [msgspec.json.decode(line, type=Entry) for line in lines]
    assert list(mismatches(entries)) == []
    alert = next(n for n, entry in enumerate(entries) if entry.type == "alert.raised")
    without = entries[:alert] + entries[alert + 1 :]
    assert "alert.raised should stand before" in next(iter(mismatches(without))).what
    milder = msgspec.structs.replace(
        entries[alert], data=msgspec.Raw(bytes(entries[alert].data).replace(b'"high"', b'"info"'))
    )
    changed = [*entries[:alert], milder, *entries[alert + 1 :]]
    assert "does not follow" in next(iter(mismatches(changed))).what


async def whole_case_in(room: Room) -> None:
    await room.phase("preparation")
    room.device(image())
    await room.say("consent", given=True)
    await room.journal.settled()


async def test_a_procedure_that_nobody_ends_is_closed_by_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as room:
        await room.desk.start(Start(**WHO, procedure="L4/5"))
        case = room.journal.record
        monkeypatch.setattr("esi_room.procedure.desk.IDLE_LOOK_S", 0.01)
        closing = asyncio.create_task(room.desk.close_forgotten(7200))
        room.clock.advance(7190)
        room.device(image())
        room.clock.advance(7190)
        room.observer.look()
        await asyncio.sleep(0.05)
        assert room.journal.record == case
        room.clock.advance(20)
        room.observer.look()
        async with asyncio.timeout(10):
            while room.journal.record == case or room.journal.kind != "standby":
                await asyncio.sleep(0.01)
        closing.cancel()
        ended = next(e for e in await room.entries(case) if e["type"] == "procedure.ended")
        assert (ended["data"]["outcome"], ended["data"]["origin"]) == ("unknown", "room")
        assert "120 minutes" in ended["data"]["reason"]
        assert len(records(tmp_path)) == 3


async def test_what_a_full_record_does_not_take_comes_at_the_next_look(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await room.phase("preparation")
    append = room.journal.append

    def full(event: Event) -> Any:
        if event.data.TYPE.startswith("alert."):
            raise RecordFull("64 MiB wait for the disk")
        return append(event)

    monkeypatch.setattr(room.journal, "append", full)
    room.device(image())
    assert await room.of("alert.raised") == []
    assert "procedure_entry_lost" in capsys.readouterr().out
    monkeypatch.setattr(room.journal, "append", append)
    room.observer.look()
    assert [e["data"]["rule"] for e in await room.of("alert.raised")] == ["R1", "R2"]


async def test_a_pump_that_sedates_begins_no_injection(room: Room) -> None:
    await room.phase("preparation")
    propofol = {"syringe": "P", "pump": "pump-1", "components": [{"drug": "propofol", "volume_ml": 20}]}
    await room.say("drawn_up", **propofol)
    room.device(STARTED, "pump-1")
    assert [entry["data"]["phase"] for entry in await room.of("procedure.phase")] == ["preparation"]
    room.device(STARTED, "pump-2")
    assert [entry["data"]["phase"] for entry in await room.of("procedure.phase")] == ["preparation", "injection"]
    assert room.again() == []
