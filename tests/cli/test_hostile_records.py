"""Whatever lies where a record should: every command that reads records says what is wrong, and neither falls over, nor
waits, nor follows a path out of the record."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esi_room.cli import main
from esi_room.record import verify_lines
from esi_room.record.verify_room import record_ids

SECRET = b"a line that is none of the record's\n"
FILES = ("journal.jsonl", "amendments.jsonl", "checkpoints.jsonl", "wire/pump-1.jsonl", "private/identity.json")


@pytest.fixture(scope="module")
def room(signed_room: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for all: `replaced` puts back what it takes away."""
    return Path(shutil.copytree(signed_room, tmp_path_factory.mktemp("hostile") / "room"))


def case_of(room: Path) -> Path:
    return room / "records" / record_ids(room)[1]


@pytest.fixture
def replaced(room: Path, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Takes a file of the case away; its place, for something else."""
    taken: list[tuple[Path, Path]] = []

    def take(name: str) -> Path:
        path = case_of(room) / name
        away = tmp_path / f"away-{len(taken)}"
        path.rename(away)
        taken.append((path, away))
        return path

    yield take
    for path, away in taken:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        away.rename(path)


def called(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    fell_over = result.exception is not None and not isinstance(result.exception, SystemExit)
    assert not fell_over, f"{arguments}: {result.exception!r}"
    assert result.exit_code in (0, 1, 2)
    return result


def all_commands(room: Path, to: Path) -> list[Result]:
    """Every command that an auditor has, on the case; also where it is known to be broken."""
    case = case_of(room)
    lines: list[tuple[object, ...]] = [
        ("verify", room),
        ("verify", room, "--json"),
        ("verify", case),
        ("records", room),
        ("records", room, "--json"),
        ("records", room, "--due"),
        ("records", room, "--uses"),
        ("keys", "show", room),
        ("identity", "show", case),
        ("replay", case, "--derive", "--even-if-broken"),
        ("replay", case, "--speed", "max", "--mqtt", "mqtt://127.0.0.1:9", "--even-if-broken"),
        *(("export", case, "--format", name, "--to", to, "--even-if-broken") for name in ("csv", "html", "fhir")),
        ("export", case, "--format", "bundle", "--to", to, "--even-if-broken", "--identity"),
    ]
    results = [called(*line) for line in lines]
    assert SECRET.strip() not in b"".join(path.read_bytes() for path in to.rglob("*") if path.is_file())
    return results


def _fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _link(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_bytes(SECRET)
    path.symlink_to(target)


def _link_to_itself(path: Path, _: Path) -> None:
    path.symlink_to(path)


def _endless(path: Path, _: Path) -> None:
    path.symlink_to("/dev/zero")


def _directory(path: Path, _: Path) -> None:
    path.mkdir()


THINGS = {
    "pipe": _fifo,
    "link": _link,
    "link to itself": _link_to_itself,
    "endless device": _endless,
    "directory": _directory,
}


@pytest.mark.parametrize("put", THINGS.values(), ids=THINGS.keys())
@pytest.mark.parametrize("name", FILES)
def test_something_else_in_place_of_a_file(room, replaced, tmp_path, name, put):
    path = replaced(name)
    put(path, tmp_path)
    verify = called("verify", room)
    if put in (_fifo, _link):
        all_commands(room, tmp_path / "out")
    assert verify.exit_code == 1
    assert f"{path}: cannot be read: it is no regular file" in verify.output


@pytest.mark.parametrize("name", ["frames", "wire", "private", "."])
def test_a_link_in_place_of_a_folder(room, replaced, tmp_path, name):
    path = replaced(name) if name != "." else case_of(room)
    if name == ".":
        away = path.rename(tmp_path / "case")
        path.symlink_to(away)
    else:
        path.symlink_to(tmp_path / "away-0")
    try:
        verify, *_ = all_commands(room, tmp_path / "out") if name != "." else [called("verify", room)]
    finally:
        if name == ".":
            path.unlink()
            away.rename(path)
    assert verify.exit_code == 1
    assert f"{path}: " in verify.output


def _deep(key: bytes) -> bytes:
    return b'{"v":1,"record":' + b"[" * 200_000 + b"]" * 200_000 + key + b"}\n"


JOURNALS = {
    "nothing": b"",
    "NULs": b"\0" * 5000,
    "invalid UTF-8": b'{"v":1,"record":"\xff\xfe"}\n',
    "half a character": b'{"v":1,"record":"\\ud800","seq":0,"prev":"","type":"record.opened","time":"","received":"",'
    b'"mono_ns":0,"source":"","data":{}}\n',
    "deep": _deep(b""),
    "a number as long as a book": b'{"v":1,"seq":' + b"9" * 20_000 + b"}\n",
    "no number": b'{"v":NaN}\n',
    "a list": b"[1,2,3]\n" * 20,
    "markup": b'{"v":1,"record":"[/bold][red]:smile:","seq":0,"prev":"","type":"","time":"","received":"","mono_ns":0,'
    b'"source":"","data":{}}\n',
    "control characters": b'{"v":1,"record":"\\u001b[2J\\u0007","seq":0,"prev":"","type":"","time":"","received":"",'
    b'"mono_ns":0,"source":"","data":{}}\n',
    "v 0": b'{"v":0,"seq":0}\n',
    "v 2": b'{"v":2,"record":"x"}\n' * 3,
    "v true": b'{"v":true}\n',
}


@pytest.mark.parametrize("octets", JOURNALS.values(), ids=JOURNALS.keys())
def test_a_journal_of_anything(room, replaced, tmp_path, octets):
    path = replaced("journal.jsonl")
    path.write_bytes(octets)
    verify, as_json, *_ = all_commands(room, tmp_path / "out")
    assert verify.exit_code == 1
    first = next(line for line in verify.output.splitlines() if str(path) in line)
    assert first.startswith("BROKEN")
    assert all(each.isprintable() for each in verify.output if each != "\n")
    for line in as_json.stdout.splitlines():
        json.loads(line)


@pytest.mark.parametrize("version", [0, 2, -1, "1", None])
def test_a_record_of_another_format_version_says_so(room, replaced, version):
    path = replaced("journal.jsonl")
    text = "null" if version is None else json.dumps(version)
    path.write_bytes(b'{"v":' + text.encode() + b',"record":"x","what":"nobody knows"}\n')
    said = called("verify", case_of(room)).output
    assert (
        f"{path}:1: a line of another format version, which this program does not know (expected v 1, found v " in said
    )


DATA: dict[str, object] = {
    "carm.image": {"sha256": "../../../../etc/passwd"},
    "record.sealed": {"wire": {"../../../../etc/passwd": {"lines": 1}, "x" * 300: 7, "": []}},
    "procedure.started": {"identity_sha256": {"a": "b"}},
    "carm.mpps": {"sha256": "../../x"},
    "record.recovered": {"cut_bytes": 1, "kept_as": "../../../etc/passwd", "cut_sha256": 7},
    "record.opened": {"kind": {"a": 1}, "room": ["x"], "broken": {"\x1b": 1}},
    "record.amended": {"record": {"a": 1}, "seq": "x", "type": [], "sha256": None},
    "audit.event": {"erased": [7, None, "../../x", "/etc/passwd", {"a": 1}], "actor": {"a": 1}},
}


@pytest.mark.parametrize("kind", DATA)
def test_data_that_names_paths_and_shapes_of_its_own(room, tmp_path, kind):
    """A record that holds as a chain and says the strangest things, as its room's only one."""
    record = "20261123T093000Z-1f2e"
    folder = tmp_path / "room" / "records" / record
    folder.mkdir(parents=True)
    lines, prev = b"", "0" * 64
    for seq, (type_, data) in enumerate(
        [("record.opened", {"kind": "procedure", "room": "esi-1"}), (kind, DATA[kind])]
    ):
        time = f"2026-11-23T09:30:0{seq}.000000Z"
        entry = {"v": 1, "record": record, "seq": seq, "prev": prev, "type": type_, "time": time, "received": time}
        line = json.dumps(entry | {"mono_ns": seq, "source": "room", "data": data}).encode() + b"\n"
        prev = verify_lines.hashlib.sha256(line).hexdigest()
        lines += line
    (folder / "journal.jsonl").write_bytes(lines)
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" and _WATCHED else None)
    _WATCHED.append(1)
    try:
        for line in (("verify", tmp_path / "room"), ("verify", folder, "--json"), ("records", tmp_path / "room")):
            called(*line)
        for name in ("csv", "bundle"):
            called("export", folder, "--format", name, "--to", tmp_path / "out", "--even-if-broken", "--identity")
        called("replay", folder, "--derive", "--even-if-broken")
    finally:
        _WATCHED.clear()
    assert not [path for path in opened if path.endswith("passwd") or path.endswith("/x")]


_WATCHED: list[int] = []


def test_a_file_that_may_not_be_read_is_said(room, monkeypatch):
    real, path = os.open, case_of(room) / "wire" / "pump-1.jsonl"

    def forbidden(name: object, flags: int, *more: int, **others: int) -> int:
        if str(name) == str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(name, flags, *more, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(verify_lines.os, "open", forbidden)
    result = called("verify", room)
    assert result.exit_code == 1
    assert f"{path}: cannot be read: Permission denied" in result.output


@pytest.mark.parametrize("which", [".", "frames", "private", "wire", ".."])
def test_a_directory_that_may_not_be_read_is_said(room, monkeypatch, which):
    real, folder = Path.iterdir, (case_of(room) / which).resolve()

    def forbidden(path: Path) -> Iterator[Path]:
        if path.resolve() == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", forbidden)
    result = called("verify", room)
    assert result.exit_code == 1
    assert "Permission denied" in result.output


def test_a_disk_that_fails_while_it_is_read_is_said(room, monkeypatch):
    path = case_of(room) / "journal.jsonl"
    real = verify_lines.opened

    class Failing:
        def __init__(self, file: object) -> None:
            self.file = file

        def __enter__(self) -> Failing:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()  # type: ignore[attr-defined]

        def readline(self, size: int) -> bytes:
            if self.file.tell() > 1000:  # type: ignore[attr-defined]
                raise OSError(errno.EIO, "Input/output error")
            return bytes(self.file.readline(size))  # type: ignore[attr-defined]

    monkeypatch.setattr(
        "esi_room.record.verify.opened", lambda each: Failing(real(each)) if each == path else real(each)
    )
    assert f"{path}: cannot be read: Input/output error" in called("verify", room).output


def test_what_is_no_data_directory_and_no_record(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    for path, status in ((tmp_path, 2), (tmp_path / "file", 1), (tmp_path / "pipe", 2), (tmp_path / "none", 2)):
        assert called("verify", path).exit_code == status
        assert called("export", path, "--format", "csv").exit_code == 2
        assert called("replay", path).exit_code == 2
        assert called("records", path).exit_code in (1, 2)
    assert called("verify", tmp_path / "..").exit_code == 2


def test_a_lock_that_is_a_pipe_is_not_waited_for(room):
    lock = room / "lock"
    lock.unlink(missing_ok=True)
    os.mkfifo(lock)
    assert called("verify", room).exit_code == 0
    lock.unlink()


def test_a_witness_file_of_anything(room, tmp_path):
    path = tmp_path / "witness.jsonl"
    for octets in (b"", b"\0" * 9000, b"[" * 4000 + b"\n", b'{"checkpoint":7,"public_key":"zz"}\n', b"\xff\n"):
        path.write_bytes(octets)
        assert called("verify", room, "--witness", path).exit_code == 1


def test_lines_of_gibibytes_cost_bounded_memory(tmp_path):
    """A sparse journal of 1 GiB with no newline in it, in a process that may have 600 MiB."""
    folder = tmp_path / "records" / "20261123T093000Z-1f2e"
    folder.mkdir(parents=True)
    with (folder / "journal.jsonl").open("wb") as file:
        file.truncate(1 << 30)
    for command in ("verify", "records"):
        code = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
            "from esi_room.cli import main; main(sys.argv[1:])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, command, tmp_path], capture_output=True, text=True, check=False
        )
        assert "MemoryError" not in done.stderr
        assert done.returncode == (command == "verify"), done.stderr


KEYS = st.sampled_from(["v", "record", "seq", "prev", "type", "data", "sha256", "n", "key"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(KEYS, SCALARS, max_size=4)
OBJECTS = SCALARS | st.dictionaries(KEYS, VALUES, max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(FILES),
    octets=st.binary(max_size=200)
    | st.lists(OBJECTS.map(lambda value: json.dumps(value).encode() + b"\n")).map(b"".join),
    behind=st.booleans(),
)
def test_any_octets_in_any_file(room, tmp_path, name, octets, behind):
    path = case_of(room) / name
    before = path.read_bytes()
    path.write_bytes(before + octets if behind else octets)
    try:
        for line in (("verify", room), ("verify", case_of(room), "--json"), ("records", room)):
            called(*line)
        called("export", case_of(room), "--format", "csv", "--to", tmp_path / "out", "--even-if-broken")
        called("replay", case_of(room), "--derive", "--even-if-broken")
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("command", ["verify", "replay", "export"])
def test_an_interrupt_ends_it_in_order(room, tmp_path, monkeypatch, command):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("esi_room.record.verify.linked", interrupted)
    more = {"verify": (), "replay": ("--mqtt", "mqtt://127.0.0.1:9"), "export": ("--format", "csv", "--to", tmp_path)}
    result = called(command, case_of(room), *more[command])
    assert (result.exit_code, "Aborted!" in result.output) == (1, True)
    assert not list(tmp_path.iterdir())
