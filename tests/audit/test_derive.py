"""A record derived again from its bytes: no difference in what was recorded, and each that somebody makes is found."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from virtual.room import Played, play

from esi_room.audit.derive.deriving import split
from esi_room.audit.derive.device import Difference
from esi_room.audit.derive.record import derive
from esi_room.cli.deriving import drivers
from simulators.faults import Faults

SCENARIOS = ("lumbar_interlaminar", "occlusion", "carm_faults", "vasovagal", "rule_r10")


def differences(record: Path) -> list[Difference]:
    return [each for finding in derive(record, drivers(None)) for each in finding.differences]


def compared(record: Path) -> int:
    return sum(finding.checked.entries for finding in derive(record, drivers(None)) if finding.checked is not None)


def every_record(played: Played) -> list[Path]:
    return [played.data / "records" / record for record in played.records]


@pytest.fixture
def copy(quick: Played, tmp_path: Path) -> Path:
    """The procedure's record, among the room's others."""
    return shutil.copytree(quick.data, tmp_path / "data") / "records" / quick.procedures[0]


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """As somebody would who does not mind the chain: that is `verify`'s."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in change(lines)))


# --- nothing differs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_was_recorded_is_what_the_bytes_say(scenario: str, tmp_path: Path) -> None:
    played = play(scenario, tmp_path)
    assert [differences(record) for record in every_record(played)] == [[]] * len(played.records)
    said = [entry for entry in played.entries if entry["type"].startswith(("vitals.", "pump.", "device.alarm"))]
    assert compared(played.data / "records" / played.procedures[0]) == len(said) > 10


@pytest.mark.parametrize("faults", ["noise=3,flip=300", "truncate=4,bad_checksum=5", "break=3,flow=4"])
def test_on_bad_lines_too(faults: str, tmp_path: Path) -> None:
    played = play("quick", tmp_path, faults=Faults.parse(faults))
    assert any(entry["type"] == "device.rejected" for entry in played.entries)
    assert [differences(record) for record in every_record(played)] == [[]] * len(played.records)


def test_a_record_alone_says_that_its_beginning_is_not_known(copy: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(copy, tmp_path / copy.name)
    notes = [note for finding in derive(alone, drivers(None)) if finding.checked for note in finding.checked.notes]
    assert len(notes) == 3
    assert "opened in a record that is not here" in notes[0]


# --- something does ---------------------------------------------------------------------------------------------------


def first(lines: list[dict[str, Any]], kind: str) -> int:
    return next(n for n, line in enumerate(lines) if line["type"] == kind)


def test_an_altered_reading_is_shown_beside_its_bytes(copy: Path) -> None:
    seqs: list[int] = []

    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        line = next(each for each in lines if each["source"] == "oximeter-1" and each["type"] == "vitals.numeric")
        seqs.append(line["seq"])
        line["data"]["readings"][0]["value"] = 42
        return lines

    rewrite(copy / "journal.jsonl", change)
    (found,) = (each for each in differences(copy) if each.device == "oximeter-1")
    assert (found.what, found.seq) == ("recorded otherwise than the bytes say", seqs[0])
    assert '"value":42' in (found.recorded or "") and '"value":42' not in (found.derived or "")
    assert b"  97  " in found.octets and found.octets.endswith(b"\r\n")
    [line] = (copy / "wire" / "oximeter-1.jsonl").read_bytes().splitlines()[(found.line or 0) - 1 : found.line]
    assert found.octets.endswith(base64.b64decode(json.loads(line)["b64"]))


def test_a_moved_time_is_a_difference(copy: Path) -> None:
    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines[first(lines, "vitals.numeric")]["mono_ns"] += 500_000_000
        return lines

    rewrite(copy / "journal.jsonl", change)
    assert [each.what for each in differences(copy)] == ["recorded with another time than the bytes have"]


def test_an_entry_left_out_is_named_by_its_bytes(copy: Path) -> None:
    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        del lines[first(lines, "pump.completed")]
        return lines

    rewrite(copy / "journal.jsonl", change)
    found = [each for each in differences(copy) if each.device == "pump-1"]
    assert [(each.what, (each.derived or "").split()[0]) for each in found] == [
        ("the bytes say something that is not recorded", "pump.completed")
    ]
    assert found[0].octets


def test_an_entry_put_in_has_no_bytes(copy: Path) -> None:
    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        at = first(lines, "vitals.numeric")
        return [*lines[: at + 1], lines[at] | {"mono_ns": lines[at]["mono_ns"] + 200_000_000}, *lines[at + 1 :]]

    rewrite(copy / "journal.jsonl", change)
    (found,) = (each for each in differences(copy) if each.device != "room")
    assert (found.what, found.derived) == ("recorded, and no bytes say it", None)


def test_bytes_exchanged_for_others(copy: Path) -> None:
    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        line = next(line for line in lines if line["dir"] == "rx" and b"  97  " in base64.b64decode(line["b64"]))
        line["b64"] = base64.b64encode(base64.b64decode(line["b64"]).replace(b"  97  ", b"  98  ")).decode()
        return lines

    rewrite(copy / "wire" / "oximeter-1.jsonl", change)
    (found,) = differences(copy)
    assert (
        b"  98  " in found.octets and '"value":97' in (found.recorded or "") and '"value":98' in (found.derived or "")
    )


def test_a_wire_file_that_is_gone(copy: Path) -> None:
    (copy / "wire" / "oximeter-1.jsonl").unlink()
    found = [each for each in differences(copy) if each.device == "oximeter-1"]
    assert {each.what for each in found if each.seq is not None} == {"recorded, and no bytes say it"}
    assert sum(each.seq is not None for each in found) == 35


def test_an_alert_that_does_not_follow(copy: Path) -> None:
    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines[first(lines, "alert.raised")]["data"]["severity"] = "low"
        return lines

    rewrite(copy / "journal.jsonl", change)
    found = differences(copy)
    assert {each.device for each in found} == {"room"}
    assert "alert.raised does not follow" in found[0].what


# --- killed ----------------------------------------------------------------------------------------------------------


def test_what_was_never_acknowledged_is_a_note_and_no_difference(copy: Path) -> None:
    """A daemon that is killed has written bytes whose entries it had no time to write."""
    path = copy / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    last = next(n for n in reversed(range(len(lines))) if b'"source":"pump-1"' in lines[n])
    path.write_bytes(b"".join(lines[:last]))
    findings = list(derive(copy, drivers(None)))
    assert [each for finding in findings for each in finding.differences if each.device != "room"] == []
    assert any("not acknowledged" in note for each in findings if each.checked for note in each.checked.notes)


def test_requests_that_went_out_together_are_told_apart() -> None:
    sends = {b"VER\r": "", b"VER": "", b"DIS\r": ""}
    assert split(b"VER\rDIS\rVER\r", sends) == [b"VER\r", b"DIS\r", b"VER\r"]
    assert split(b"DIS\r?", sends) == [b"DIS\r", b"?"]
