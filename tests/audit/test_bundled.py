"""`esi-room verify BUNDLE.zip`: what an export made holds, every edit of it is named, and no zip leads out of it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esi_room.audit import bundled
from esi_room.audit.bundled import verify_bundle
from esi_room.audit.export.bundle import export
from esi_room.audit.export.case import load
from esi_room.cli import main
from esi_room.errors import BrokenRecord, EsiRoomError
from esi_room.record.verify_room import record_ids

RECORD = "20261123T093000Z-1f2e"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def bundle(signed_room: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a case that has every kind of file, the patient with it."""
    (path,) = export(load(signed_room / "records" / record_ids(signed_room)[1], identity=True), _new(tmp_path_factory))
    return path


def _new(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("bundle")


def zipped(files: Files, path: Path) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, octets in files.items():
            archive.writestr(name, octets)
    return path


def files_of(path: Path) -> Files:
    with ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def left_behind() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("esi-room-*/20*"))


def test_what_an_export_made_holds(bundle):
    report = verify_bundle(bundle)
    assert report.ok
    assert (report.record, report.lines > 5, report.wire_lines, report.checkpoints) == (bundle.stem, True, 8, 5)
    assert any("came with these files: compare it" in note for note in report.notes)
    assert not left_behind()


def test_the_command_says_so_for_the_zip_and_for_what_was_unpacked_from_it(bundle, tmp_path):
    done = CliRunner().invoke(main, ["verify", str(bundle)])
    assert (done.exit_code, "holds" in done.output) == (0, True), done.output
    with ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    path = tmp_path / bundle.stem
    done = CliRunner().invoke(main, ["verify", str(path)])
    assert (done.exit_code, "holds" in done.output) == (0, True), done.output
    (path / "README.txt").write_text("all is well")
    done = CliRunner().invoke(main, ["verify", str(path)])
    assert done.exit_code == 1
    assert "README.txt: is not the file that SHA256SUMS names (expected " in done.output


def test_a_problem_names_the_file_in_the_zip(bundle, tmp_path):
    files = files_of(bundle)
    journal = f"{bundle.stem}/journal.jsonl"
    files[journal] = files[journal].replace(b"procedure.started", b"procedure.Started", 1)
    path = zipped(files, tmp_path / "altered.zip")
    problem = verify_bundle(path).problems[0]
    assert problem.file == path / "journal.jsonl"
    assert (problem.line or 0) > 1
    assert "was altered, or lines were removed or inserted" in problem.what


def test_every_file_altered_removed_or_added_is_found(bundle, tmp_path):
    files = files_of(bundle)
    assert len(files) > 6
    for name, octets in files.items():
        altered = files | {name: octets[:-1] + bytes([octets[-1] ^ 1])}
        assert not verify_bundle(zipped(altered, tmp_path / "altered.zip")).ok, name
        fewer = {other: octets for other, octets in files.items() if other != name}
        assert not verify_bundle(zipped(fewer, tmp_path / "fewer.zip")).ok, name
    more = files | {f"{bundle.stem}/more.txt": b"more"}
    assert not verify_bundle(zipped(more, tmp_path / "more.zip")).ok


def _link() -> ZipInfo:
    info = ZipInfo(f"{RECORD}/journal.jsonl")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def _twice(archive: ZipFile) -> None:
    archive.writestr(f"{RECORD}/journal.jsonl", b"1")
    archive.writestr(f"{RECORD}/journal.jsonl", b"2")


TRICKS: dict[str, tuple[Callable[[ZipFile], object], str]] = {
    "absolute": (lambda z: z.writestr("/etc/esi", b""), "no name of a bundle's file"),
    "up": (lambda z: z.writestr(f"{RECORD}/../../up", b""), "no name of a bundle's file"),
    "up and down": (lambda z: z.writestr(f"../{RECORD}/journal.jsonl", b""), "no name of a bundle's file"),
    "dots": (lambda z: z.writestr(f"{RECORD}/..", b""), "no name of a bundle's file"),
    "backslash": (lambda z: z.writestr(f"{RECORD}/..\\up", b""), "no name of a bundle's file"),
    "drive": (lambda z: z.writestr("C:/x", b""), "no name of a bundle's file"),
    "NUL": (lambda z: z.writestr(ZipInfo("x/journal.jsonl\0.txt"), b""), "no"),
    "deep": (lambda z: z.writestr("/".join([RECORD] * 9), b""), "no name of a bundle's file"),
    "control characters": (lambda z: z.writestr(f"{RECORD}/\x1b[31mred", b""), "no name of a bundle's file"),
    "link": (lambda z: z.writestr(_link(), "/etc/passwd"), "is no regular file"),
    "twice": (_twice, "a name is in it twice"),
    "two directories": (lambda z: (z.writestr("a/b", b""), z.writestr("b/b", b"")), "more than one directory"),
    "no record": (lambda z: z.writestr("case/journal.jsonl", b""), "is no record's id"),
    "nothing": (lambda _: None, "it holds 0 files"),
    "bomb": (lambda z: z.writestr(f"{RECORD}/journal.jsonl", b"\0" * (8 << 20)), "would become 8388608 bytes"),
    "packed otherwise": (
        lambda z: z.writestr(f"{RECORD}/journal.jsonl", b"x" * 100, compress_type=ZIP_BZIP2),
        "packed in another way than bundles are",
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("make", "why"), TRICKS.values(), ids=TRICKS.keys())
def test_a_zip_that_could_lead_elsewhere_is_refused_and_nothing_of_it_is_written(tmp_path, monkeypatch, make, why):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = tmp_path / "trick.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        make(archive)
    with pytest.raises(BrokenRecord) as refused:
        verify_bundle(path)
    assert why in str(refused.value)
    assert str(refused.value).isprintable()
    assert not list(scratch.iterdir())
    done = CliRunner().invoke(main, ["verify", str(path)])
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)


def test_files_that_overlap_are_refused(tmp_path):
    """One packed stream named many times over: a bomb whose every file is harmless."""
    path = zipped({f"{RECORD}/journal.jsonl": os.urandom(2000)}, tmp_path / "overlap.zip")
    octets = path.read_bytes()
    start = octets.index(b"PK\1\2")
    entry, end = octets[start : octets.index(b"PK\5\6")], bytearray(octets[octets.index(b"PK\5\6") :])
    entries = b"".join(entry.replace(b"journal.jsonl", b"journal.js%03d" % n) for n in range(100))
    end[8:10] = end[10:12] = (100).to_bytes(2, "little")
    end[12:16] = len(entries).to_bytes(4, "little")
    path.write_bytes(octets[:start] + entries + bytes(end))
    with pytest.raises(BrokenRecord, match=r"overlap|differ|Overlapped"):
        verify_bundle(path)


def test_a_zip_with_a_directory_larger_than_any_bundles_is_not_read(tmp_path, monkeypatch, bundle):
    monkeypatch.setattr(bundled, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(BrokenRecord, match="its directory is larger"):
        verify_bundle(bundle)


def test_what_is_no_zip_says_so_and_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\3\4 no zip")
    with pytest.raises(BrokenRecord, match="is no bundle that can be read"):
        verify_bundle(path)
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(EsiRoomError, match="it is no regular file"):
        verify_bundle(tmp_path / "pipe.zip")
    done = CliRunner().invoke(main, ["verify", str(tmp_path / "pipe.zip")])
    assert done.exit_code == 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_zip_is_refused_or_does_not_hold_and_never_worse(bundle, tmp_path, data):
    octets = bytearray(bundle.read_bytes())
    directory = octets.index(b"PK\1\2")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets) - 1) | st.integers(directory, len(octets) - 1))
        octets[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(octets)))
    path = tmp_path / "damaged.zip"
    path.write_bytes(octets[:cut])
    try:
        report = verify_bundle(path)
    except EsiRoomError as error:
        assert str(error)
    else:
        same = files_of_or_none(path) == files_of(bundle)  # only what no file of it is made of was changed
        assert report.ok == same


def files_of_or_none(path: Path) -> Files | None:
    try:
        return files_of(path)
    except Exception:
        return None


def test_memory_does_not_grow_with_what_is_in_it(tmp_path):
    """A journal that is one line of 300 MiB, in a process that may have 400 more than it needs to begin with."""
    path = tmp_path / "long.zip"
    chunk = os.urandom(1 << 20).replace(b"\n", b"\0")
    with ZipFile(path, "w") as archive, archive.open(f"{RECORD}/journal.jsonl", "w", force_zip64=True) as file:
        for _ in range(300):
            file.write(chunk)
    code = (
        "import re, sys; from pathlib import Path; from esi_room.audit.bundled import verify_bundle\n"
        "report = verify_bundle(Path(sys.argv[1]))\n"
        # Not getrusage: its peak begins with that of the process which started this one.
        "print(report.problems[0])\n"
        "print(int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    said, mib = done.stdout.splitlines()
    assert "journal.jsonl:1: the line is too long" in said
    assert int(mib) < 200


def test_an_interrupt_leaves_nothing_behind(bundle, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundled, "verify_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify_bundle(bundle)
    assert not left_behind()
