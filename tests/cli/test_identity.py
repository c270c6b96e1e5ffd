"""`esi-room identity`: who it was is shown and erased, the chain stays whole, and both are recorded."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result
from virtual.room import Played, play

from esi_room.cli import main
from esi_room.clock import SystemClock
from esi_room.record import spool
from esi_room.record.disk import Disk
from esi_room.record.journal import Identity, Journal
from esi_room.record.reader import journal_path, records
from esi_room.record.verify_room import verify_room
from esi_room.room.uses import Uses

WHO = ("SIMULATED", "QUICK", "SIM-0002", "1970-01-31")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play("quick", tmp_path_factory.mktemp("quick"))


@pytest.fixture
def record(quick: Played, tmp_path: Path) -> Path:
    copy = shutil.copytree(quick.data, tmp_path / "data")
    return copy / "records" / quick.procedures[0]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["identity", *map(str, arguments)])


def erase(record: Path, *more: str) -> Result:
    return call("erase", record, "--reason", "request no. 17", "--actor", "the DPO", *more)


def daemon(data: Path, act: Callable[[Journal, Uses], Any] | None = None) -> None:
    """It starts, looks into the spool, and ends."""

    async def run() -> None:
        clock = SystemClock()
        async with Journal.open(data, clock, Identity(room="esi-1")) as journal:
            await Uses(journal, clock).look()

    asyncio.run(run())


def uses(data: Path) -> list[dict[str, Any]]:
    lines = [line for record in records(data) for line in journal_path(data, record).read_bytes().splitlines()]
    found = [entry["data"] for entry in map(json.loads, lines) if entry["type"] == "audit.event"]
    return [said for said in found if said["event"] != "110100"]  # the daemon's own


def notes(data: Path) -> list[str]:
    """Of all records, which must hold."""
    reports = list(verify_room(data))
    assert [str(problem) for report in reports for problem in report.problems] == []
    return [note for report in reports for note in report.notes if "erased" in note]


def test_show_says_who_it_was_and_is_recorded(record):
    shown = call("show", record, "--actor", "Dr. A")
    assert shown.exit_code == 0 and all(each in shown.stdout for each in ("SIMULATED^QUICK", "SIM-0002", "1970-01-31"))
    assert json.loads(call("show", record, "--json").stdout)["id"] == "SIM-0002"
    data = record.parent.parent
    daemon(data)
    first, _ = sorted(uses(data), key=lambda said: said["actor"])
    assert (first["event"], first["meaning"], first["action"]) == ("110110", "Patient Record", "R")
    assert (first["actor"], first["records"]) == ("Dr. A", [record.name])
    assert not any(each in json.dumps(uses(data)) for each in WHO)


def test_show_says_that_it_was_altered(record):
    path = record / "private" / "identity.json"
    path.write_bytes(path.read_bytes().replace(b"QUICK", b"QVICK"))
    shown = call("show", record)
    assert shown.exit_code == 1 and "QVICK" in shown.stdout and "NOT as the journal says" in shown.stderr
    path.write_bytes(b"{")
    assert "cannot be read" in call("show", record).stderr


def test_show_of_nobody(record):
    standby = record.parent / records(record.parent.parent)[0]
    assert "names no patient" in call("show", standby).stderr
    (record / "private" / "identity.json").unlink()
    shown = call("show", record)
    assert shown.exit_code == 1 and "is missing, and nothing says that it was erased" in shown.stderr


def test_erased_is_gone_and_recorded_and_the_chain_holds(record):
    data, before = record.parent.parent, (record / "journal.jsonl").read_bytes()
    erased = erase(record)
    assert erased.exit_code == 0 and "3 files of private/" in erased.output
    assert "4 files of frames/" in erased.output and "--with-objects" in erased.output
    assert list((record / "private").iterdir()) == [] and len(list((record / "frames").iterdir())) == 4
    (note,) = notes(data)
    assert "the patient's identity" in note and "waits in audit/ to be recorded" in note
    daemon(data)
    (note,) = notes(data)
    assert "by the DPO: request no. 17 (line" in note and f"of {records(data)[-1]}" in note
    (said,) = uses(data)
    assert (said["event"], said["action"], said["reason"]) == ("110110", "D", "request no. 17")
    assert not any(each in json.dumps(said) for each in WHO)
    assert (record / "journal.jsonl").read_bytes() == before
    assert "by the DPO" in call("show", record).stderr
    verified = CliRunner().invoke(main, ["verify", str(data)])
    assert verified.exit_code == 0 and "but for what was erased" in verified.output


def test_with_objects_nothing_names_the_patient_any_more(record):
    erased = erase(record, "--with-objects")
    assert erased.exit_code == 0
    daemon(record.parent.parent)
    assert len(notes(record.parent.parent)) == 1
    left = [path for path in record.rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"journal.jsonl", "checkpoints.jsonl"}
    assert not any(each.encode() in path.read_bytes() for path in left for each in WHO)


def test_what_needs_the_objects_says_that_they_were_erased(record, tmp_path):
    erase(record, "--with-objects")
    derived = CliRunner().invoke(main, ["replay", str(record), "--derive"])
    assert derived.exit_code == 1 and "cannot be derived again: wire/" in derived.stderr
    arguments = ["--format", "bundle", "--identity", "--to", str(tmp_path)]
    exported = CliRunner().invoke(main, ["export", str(record), *arguments])
    assert exported.exit_code == 0
    with ZipFile(tmp_path / f"{record.name}.zip") as archive:
        readme = archive.read(f"{record.name}/README.txt").decode()
        assert not [name for name in archive.namelist() if "/frames/" in name or "/private/" in name]
    assert "Erased since" in readme and "request no. 17" in readme


def test_erasing_twice_says_that_there_is_nothing(record):
    erase(record)
    again = erase(record)
    assert again.exit_code == 0 and "nothing to erase" in again.output and "request no. 17" in again.output
    daemon(record.parent.parent)
    assert len(uses(record.parent.parent)) == 1


@pytest.mark.parametrize("reason", ["of Mr Simulated", "SIM-0002 asked for it"])
def test_the_patient_is_not_named_as_the_reason(record, reason):
    refused = call("erase", record, "--reason", reason)
    assert refused.exit_code == 1 and "names the patient" in refused.stderr
    assert (record / "private" / "identity.json").exists() and uses(record.parent.parent) == []


def test_nothing_is_erased_without_a_reason(record):
    assert call("erase", record).exit_code == 2 and call("erase", record, "--reason", " ").exit_code == 2
    assert (record / "private" / "identity.json").exists()


def test_what_an_embedded_broker_kept_goes_too(record):
    messages = record.parent.parent / "broker" / "jetstream" / "$G" / "streams"
    messages.mkdir(parents=True)
    (messages / "1.blk").write_bytes(b"SIMULATED^QUICK")
    assert erase(record).exit_code == 0
    assert list((record.parent.parent / "broker").iterdir()) == []


def test_what_was_taken_away_unsaid_is_a_finding_until_it_is_said(record):
    (record / "private" / "identity.json").unlink()
    problems = [str(problem) for report in verify_room(record.parent.parent) for problem in report.problems]
    assert len(problems) == 1 and "no entry says that it was erased" in problems[0]
    assert "1 gone before" in erase(record).output
    assert len(notes(record.parent.parent)) == 1


def test_what_is_there_again_is_said(record):
    path = record / "private" / "identity.json"
    octets = path.read_bytes()
    erase(record)
    daemon(record.parent.parent)
    path.write_bytes(octets)  # from a backup
    assert any("private/identity.json is there, although it was erased" in note for note in notes(record.parent.parent))


def test_the_patient_of_an_open_procedure_is_not_erased(record, quick):
    data = record.parent.parent
    open_ = record.parent / records(data)[-1]
    (open_ / "private").mkdir(exist_ok=True)
    (open_ / "private" / "identity.json").write_bytes(b"{}")
    refused = erase(open_)
    assert refused.exit_code == 1 and "is open" in refused.stderr
    assert (open_ / "private" / "identity.json").exists()


def test_a_record_outside_of_its_room_is_not_erased(record, tmp_path):
    taken = shutil.copytree(record, tmp_path / record.name)
    refused = erase(taken)
    assert refused.exit_code == 1 and "does not lie in a room's data directory" in refused.stderr
    assert (taken / "private" / "identity.json").exists()
    shown = call("show", taken)
    assert shown.exit_code == 0 and "not recorded" in shown.stderr and "QUICK" in shown.stdout


def test_where_it_cannot_be_recorded_nothing_is_erased(record, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Disk, "write_file", full)
    refused = erase(record)
    assert refused.exit_code == 1 and "nothing was erased" in refused.stderr
    assert (record / "private" / "identity.json").exists()
    shown = call("show", record)
    assert shown.exit_code == 0 and "not recorded" in shown.stderr


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", ["erase_file", "_overwrite", "sync_directory"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_crash_of_the_command_is_finished_by_the_daemon(record, monkeypatch, at, number):
    """Wherever it dies behind the word of it, the next start of the daemon finishes it."""
    data, count, real = record.parent.parent, -1, getattr(Disk, at)

    def die(self: Disk, *arguments: Any) -> None:
        nonlocal count
        count += 1
        if count >= number:
            raise Died
        real(self, *arguments)

    spool.folder(data).mkdir(exist_ok=True)
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(Disk, at, die)
        CliRunner().invoke(main, ["identity", "erase", str(record), "--reason", "r"])
        raise Died  # nothing was left to die of
    daemon(data)
    assert list((record / "private").iterdir()) == [] and left(data) == []
    assert len(notes(data)) == 1 and len(uses(data)) == 1


def left(data: Path) -> list[str]:
    return [path.name for path in spool.folder(data).iterdir()]


def test_a_crash_of_the_daemon_is_finished_at_its_next_start(record, monkeypatch):
    data = record.parent.parent
    path = record / "private" / "identity.json"
    octets = path.read_bytes()
    erase(record)
    path.write_bytes(octets)  # as if the command had died before it was gone
    with monkeypatch.context() as patch:

        def die(self: Disk, path: Path) -> None:
            raise Died

        patch.setattr(Disk, "erase_file", die)
        with pytest.raises(Died):
            daemon(data)
    assert path.exists() and len(uses(data)) == 1
    assert any("is there, although it was erased" in note for note in notes(data))
    daemon(data)
    assert not path.exists() and len(uses(data)) == 1 and left(data) == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "{open}/private/identity.json", "{record}/journal.jsonl", "{record}/private/../x", ""]
)
def test_the_daemon_erases_nothing_else(record, name):
    data = record.parent.parent
    (data / "victim").write_bytes(b"x")
    erase(record)
    (path,) = spool.folder(data).iterdir()
    use = json.loads(path.read_bytes())
    use["said"]["erased"] = [name.format(open=records(data)[-1], record=record.name)]
    path.write_text(json.dumps(use))
    before = {each for each in data.rglob("*") if each != path}
    daemon(data)
    assert [said["event"] for said in uses(data)] == ["110113"]
    assert set(data.rglob("*")) == before


def test_a_symlink_in_private_loses_its_name_alone(record, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = record / "private" / "identity.json"
    path.unlink()
    path.symlink_to(victim)
    assert erase(record).exit_code == 0
    assert victim.read_bytes() == b"precious" and not path.is_symlink()
