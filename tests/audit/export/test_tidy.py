"""`export --format csv`, read as somebody else's program reads it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from esi_room.cli import main


def export(built: Any, to: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["export", str(built.directory), "--format", "csv", "--to", str(to), *more])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_one_row_a_reading(built, to):
    done = export(built, to)
    assert done.exit_code == 0, done.output
    rows = table(to / f"{built.record}.readings.csv")
    spo2 = [row for row in rows if row["name"] == "spo2_pct"]
    assert [(row["value"], row["status"]) for row in spo2] == [("98", "ok"), ("", "invalid"), ("99", "ok")]
    assert int(spo2[1]["seq"]) == built.seqs["invalid"]
    assert (spo2[0]["code"], spo2[0]["unit"], spo2[0]["source"]) == ("150456", "%", "monitor-1")
    delivered = [row["value"] for row in rows if row["name"] == "delivered_ml"]
    assert delivered == ["0.0", "1.0", "2.0"]
    assert not [row for row in rows if row["name"] == "pressure_mmhg"]  # the pump does not say
    assert {row["broken"] for row in rows} == {""}


def test_forms_and_events_with_their_corrections(built, to):
    export(built, to)
    rows = table(to / f"{built.record}.events.csv")
    pain = next(row for row in rows if row["type"] == "clinical.pain")
    assert json.loads(pain["data"])["score"] == 8.0  # as it was said
    corrections = [row for row in rows if row["type"] == "clinical.correction"]
    assert pain["corrected_by"].split() == [row["seq"] for row in corrections if row["seq"] != pain["seq"]][1:]
    assert corrections[-1]["place"] == "amendment"
    assert [row["place"] for row in rows if row["type"] == "clinical.follow_up"] == ["amendment"]


def test_images_that_came_late_belong_to_the_case(built, to):
    export(built, to)
    images = [row for row in table(to / f"{built.record}.events.csv") if row["type"] == "carm.image"]
    assert [row["place"] for row in images] == ["journal", "late"]
    assert images[1]["record"] > built.record and images[1]["time"] < images[1]["received"]


def test_the_files_are_private_and_the_same_every_time(built, to, tmp_path):
    export(built, to)
    export(built, tmp_path / "again")
    for path in to.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert len(list(to.iterdir())) == 2


def test_a_broken_record_is_not_exported(broken, to):
    done = export(broken, to)
    assert done.exit_code == 1
    assert f"journal.jsonl:{broken.seqs['corrects'] + 2}" in done.output
    assert "--even-if-broken" in done.output
    assert not to.exists()


def test_a_broken_record_says_so_on_every_row(broken, to):
    done = export(broken, to, "--even-if-broken")
    assert done.exit_code == 1
    assert "BROKEN" in done.output
    assert all(".BROKEN." in path.name for path in to.iterdir())
    for path in to.iterdir():
        rows = table(path)
        assert rows and all("journal.jsonl" in row["broken"] for row in rows)
        assert str(broken.root) not in path.read_text("utf-8")


def test_a_later_record_that_is_broken_breaks_what_is_taken_from_it(built, to):
    later = max((built.root / "records").iterdir())
    (late,) = (later / "frames").iterdir()
    late.write_bytes(b"another picture")
    done = export(built, to)
    assert done.exit_code == 1
    assert later.name in done.output and "was altered" in done.output


def test_lines_that_cannot_be_read_stop_nothing_where_that_is_asked_for(built, to):
    path = built.directory / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-40] + b"\xff\xfe\n[1]\n" + b"[" * 200_000 + b"\n")
    assert export(built, to).exit_code == 1
    assert export(built, to, "--even-if-broken").exit_code == 1
    assert len(table(to / f"{built.record}.BROKEN.events.csv")) > 20


def test_what_leads_out_of_the_record_is_not_read(built, to, tmp_path):
    journal = built.directory / "journal.jsonl"
    journal.rename(tmp_path / "elsewhere.jsonl")
    journal.symlink_to(tmp_path / "elsewhere.jsonl")
    assert export(built, to, "--even-if-broken").exit_code == 1
    rows = table(to / f"{built.record}.BROKEN.events.csv")
    assert rows and not [row for row in rows if row["place"] == "journal"]


@pytest.mark.parametrize("more", [(), ("--format", "docx")])
def test_what_is_no_record_or_no_format(tmp_path, more):
    done = CliRunner().invoke(main, ["export", str(tmp_path), "--format", "csv", *more])
    assert done.exit_code == 2


def test_who_used_the_record_is_there(used, to):
    export(used, to)
    rows = [row for row in table(to / f"{used.record}.events.csv") if row["type"] == "audit.event"]
    assert {row["place"] for row in rows} == {"use"} and all(row["record"] > used.record for row in rows)
    assert sorted(json.loads(row["data"])["event"] for row in rows) == ["110101", "110110", "110111"]
    assert {"Auditor B", "Dr. A"} < {row["actor"] for row in rows} and {row["corrected_by"] for row in rows} == {""}
