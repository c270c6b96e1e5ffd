"""A case in a virtual room: twice the same, true to the simulators, and with nothing of the real world in it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import pytest

import simulators.room
import simulators.wire
from esi_room.procedure.rules import book as rules
from esi_room.record.verify_room import verify_room
from simulators import scenario
from simulators.faults import Faults
from simulators.scenario import Scenario, Step
from virtual.loop import NS
from virtual.room import LEAD_S, LINGER_S, OFF_S, START, Played, play

HERE = Path(__file__).parent
# In a process of its own, with another order of everything that is hashed.
ELSEWHERE = """
import hashlib, sys
from pathlib import Path
from virtual.loop import NS
from virtual.room import play
print(hashlib.sha256(play("quick", Path(sys.argv[1])).journal()).hexdigest())
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play("quick", tmp_path_factory.mktemp("quick"))


def holds(played: Played) -> bool:
    return all(report.ok for report in verify_room(played.data))


def with_steps(name: str, *steps: tuple[float, str, str]) -> Scenario:
    """That scenario and, in between, what else happens: at which second, who, what."""
    case = scenario.load(name)
    more = [Step(at_s=at_s, who=who, do=do, params={}, say=None) for at_s, who, do in steps]
    return case._replace(steps=tuple(sorted((*case.steps, *more), key=lambda step: step.at_s)))


def at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["received"])


# --- always the same --------------------------------------------------------------------------------------------------


def test_the_same_case_twice_is_the_same_to_the_last_octet(quick: Played, tmp_path: Path) -> None:
    again = play("quick", tmp_path)
    assert again.journal() == quick.journal()
    assert again.files() == quick.files(), "wire files, images, what the C-arm said, who the patient is"
    assert (again.messages, again.truth, again.told) == (quick.messages, quick.truth, quick.told)


def test_another_process_with_other_hashes_makes_the_same_journal(quick: Played, tmp_path: Path) -> None:
    path = os.pathsep.join([str(HERE.parent), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": path}
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[-1] == sha256(quick.journal()).hexdigest()


def test_another_seed_is_another_case(quick: Played, tmp_path: Path) -> None:
    other = play("quick", tmp_path, seed=quick.case.seed + 1)
    assert other.journal() != quick.journal()
    assert [step for step in other.told if step["event"] == "step"] == [s for s in quick.told if s["event"] == "step"]
    assert (other.refused, other.stored, holds(other)) == ([], True, True)


# --- nothing of the real world ----------------------------------------------------------------------------------------


def test_every_time_in_the_record_is_the_rooms_own(quick: Played, tmp_path: Path) -> None:
    start = datetime(1999, 12, 31, 23, 59, 10, tzinfo=UTC)  # the case goes on into another year
    then = play("quick", tmp_path, start=start)
    entries = [entry for record in then.records.values() for entry in record]
    end = start + timedelta(seconds=then.lasted_s)
    assert all(start <= at(entry) <= end for entry in entries)
    taken = [entry["data"]["acquired"][:10] for entry in then.of("carm.image")]
    assert (taken[0], taken[-1]) == ("1999-12-31", "2000-01-01"), "by the C-arm's own clock, too"
    for path in (then.data / "records").glob("*/wire/*.jsonl"):
        assert all(start <= at(json.loads(line)) <= end for line in path.read_bytes().splitlines())
    for one, other in zip(then.entries, quick.entries, strict=True):
        assert (one["type"], one["source"]) == (other["type"], other["source"]), "all the rest is as on any other day"
        assert abs(one["mono_ns"] - other["mono_ns"]) < NS // 50, "but for octets escaped in a frame with the date"
    assert holds(then)


def test_no_thread_no_socket_no_process(quick: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> NoReturn:
        raise AssertionError("not in a virtual room")

    for owner, name in ((threading.Thread, "start"), (socket.socket, "__init__"), (subprocess.Popen, "__init__")):
        monkeypatch.setattr(owner, name, never)
    assert play("quick", tmp_path).journal() == quick.journal()


def test_the_real_world_goes_on_behind_it(quick: Played) -> None:
    assert abs(datetime.now(UTC).timestamp() - time.time()) < 60
    assert secrets.token_hex(8) != secrets.token_hex(8)
    assert simulators.room.SerialEnd is simulators.wire.SerialEnd


# --- true to the simulators -------------------------------------------------------------------------------------------


def test_everybody_is_there(quick: Played) -> None:
    assert quick.refused == []
    assert quick.stored
    sources = {entry["source"] for entry in quick.entries if entry["type"] in ("vitals.numeric", "pump.status")}
    assert sources == {"monitor-1", "oximeter-1", "pump-1"}
    assert len(quick.of("pump.started")) == len(quick.happened("pump-1", "infusing")) == 2
    told = [entry for entry in quick.of("operator.command") if entry["data"]["name"] == "phase"]
    script = [step.at_s for step in quick.case.steps if step.do == "phase"]
    assert [quick.second(entry) for entry in told] == script
    kept = {entry["data"]["sop_instance_uid"] for entry in quick.of("carm.image")}
    assert kept == {line["sop_instance_uid"] for line in quick.happened("carm", "c_store") if line["stored"]}
    assert [entry["data"]["status"] for entry in quick.of("carm.mpps")] == ["IN PROGRESS", "COMPLETED"]
    assert [entry["data"]["state"] for entry in quick.of("carm.commitment")] == ["asked", "reported", "delivered"]


def test_what_is_published_is_what_is_recorded(quick: Played) -> None:
    published = [payload for topic, payload, _ in quick.messages if topic.startswith("esi/esi-1/event/")]
    assert b"".join(published) == quick.journal()
    assert b"SIMULATED^QUICK" in b"".join(payload for topic, payload, _ in quick.messages if "private" in topic)
    assert json.loads(quick.retained["esi/esi-1/status"])["status"] == "offline", "the daemon said goodbye"


def test_the_record_holds(quick: Played) -> None:
    assert holds(quick)
    assert len(quick.procedures) == 1
    assert quick.entries[-1]["type"] == "record.sealed"


def test_a_cable_that_is_pulled_out_leaves_its_gap_and_no_other(tmp_path: Path) -> None:
    case = with_steps("quick", (30.0, "oximeter-1", "unplug"), (41.0, "oximeter-1", "replug"))
    played = play(case, tmp_path)
    (gap,) = played.of("device.gap")
    assert gap["source"] == "oximeter-1"
    assert "unplugged" in gap["data"]["reason"]
    begun_s, over_s = (played.second({"time": gap["data"][key]}) for key in ("from", "to"))
    assert 27 < begun_s <= 30, "the last line before it was pulled"
    assert 41 <= over_s < 41 + 30 + 3, "when the daemon had tried again"
    states = [entry["data"]["state"] for entry in played.of("device.state", "oximeter-1")]
    assert states[:4] == ["connected", "lost", "negotiating", "connected"]
    assert holds(played)


def test_a_noisy_line_is_told_and_costs_no_other_device(tmp_path: Path) -> None:
    played = play("quick", tmp_path, faults=Faults.parse("noise=5,flip=500"))
    rejected = played.of("device.rejected")
    assert {entry["source"] for entry in rejected} == {"monitor-1", "oximeter-1", "pump-1"}
    damaged = [line for line in played.truth if line["what"] == "sent" and line["damage"]]
    assert sum(sum(entry["data"]["counts"].values()) for entry in rejected) >= len(damaged) // 2
    assert played.refused == [] and holds(played)


def test_a_step_that_the_room_refuses_is_told(tmp_path: Path) -> None:
    played = play(with_steps("quick", (2.0, "staff", "end")), tmp_path)
    (refused,) = played.refused
    assert (refused["who"], refused["do"]) == ("staff", "end")
    assert "no procedure is under way" in str(refused["why"])


def test_everything_that_can_go_wrong_with_the_c_arm(tmp_path: Path) -> None:
    played = play("carm_faults", tmp_path)
    assert played.refused == []
    assert {"carm.identity_mismatch", "carm.uid_conflict"} <= set(played.alerts())
    said = [
        entry["data"]["reason"]
        for record in played.records.values()
        for entry in record
        if "association" in entry["type"]
    ]
    assert any("AE title is not on the list" in reason for reason in said), "the stranger"
    assert any("aborted by the peer while an object was under way" in reason for reason in said)
    assert any("commitment report cannot be delivered" in reason for reason in said)
    kept = {entry["data"]["sop_instance_uid"] for entry in played.of("carm.image")}
    assert {line["sop_instance_uid"] for line in played.happened("carm", "c_store") if line["stored"]} <= kept
    assert holds(played)


def test_a_room_goes_on_where_it_was_left(tmp_path: Path) -> None:
    first = play("quick", tmp_path)
    second = play("quick", tmp_path, seed=99, start=START + timedelta(hours=1))
    assert list(second.records)[: len(first.records)] == list(first.records)
    assert len(second.procedures) == 2
    assert holds(second)


def test_a_room_may_have_rules_of_its_own(quick: Played, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(rules.DEFAULT.read_text().replace("[R1]\n", "[R1]\non = false\n"))
    assert "R1" in quick.alerts()
    assert play("quick", tmp_path / "room", rules=own).alerts() == [rule for rule in quick.alerts() if rule != "R1"]


# --- in a few seconds -------------------------------------------------------------------------------------------------


def test_the_room_is_on_for_as_long_as_the_case_takes(quick: Played) -> None:
    assert quick.lasted_s == pytest.approx(LEAD_S + quick.case.steps[-1].at_s + LINGER_S + OFF_S, abs=0.1)


def test_a_quarter_of_an_hour_passes_in_seconds(tmp_path: Path) -> None:
    played = play("lumbar_interlaminar", tmp_path)
    assert played.lasted_s > 12 * 60
    assert played.took_s < played.lasted_s / 10, "it is some three hundred times faster; this machine may be busy"
    assert played.refused == [] and played.stored and holds(played)
