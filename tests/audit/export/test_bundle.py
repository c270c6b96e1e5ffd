"""`export --format bundle`: what is in the zip, and that its README's commands prove what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner
from virtual.room import play

from esi_room.cli import main


def export(directory: Path, to: Path, *more: str) -> Path:
    """The bundle, unpacked."""
    CliRunner().invoke(main, ["export", str(directory), "--format", "bundle", "--to", str(to), *more])
    (path,) = to.iterdir()
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(to)
    return to / path.name.removesuffix(".zip")


def commands(bundle: Path) -> str:
    lines = (bundle / "README.txt").read_text("utf-8").split("How to verify it")[1].splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    "))


def followed(bundle: Path) -> str:
    """What a shell says to the README's commands."""
    script = commands(bundle)
    assert script.count("sha256sum") >= 2
    done = subprocess.run(["sh", "-c", script], cwd=bundle, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def last_said(bundle: Path) -> str:
    (said,) = re.findall(r"which was ([0-9a-f]{64})", (bundle / "README.txt").read_text("utf-8"))
    return f"last {said}\n"


def alter(path: Path, old: bytes, new: bytes) -> None:
    octets = path.read_bytes()
    assert old in octets
    path.write_bytes(octets.replace(old, new, 1))


@pytest.fixture
def whole(built: Any, tmp_path: Path) -> Path:
    return export(built.directory, tmp_path / "out", "--identity")


def test_it_holds_by_its_own_readme(whole):
    assert followed(whole) == last_said(whole)


def test_it_holds_without_identity_too(built, tmp_path):
    bundle = export(built.directory, tmp_path / "out")
    assert followed(bundle) == last_said(bundle)
    names = {path.name for path in bundle.iterdir()}
    assert names == {
        *("journal.jsonl", "amendments.jsonl", "late.jsonl", "README.txt", "SHA256SUMS"),
        f"{built.record}.html",
    }
    assert "Left out: the DICOM objects" in (bundle / "README.txt").read_text("utf-8")
    for path in bundle.iterdir():
        assert b"Muster" not in path.read_bytes()


def test_the_journal_and_the_objects_are_the_same_octets(built, whole):
    for name in ("journal.jsonl", "amendments.jsonl", "private/identity.json"):
        assert (whole / name).read_bytes() == (built.directory / name).read_bytes()
    (frame,) = (whole / "frames").iterdir()
    assert frame.read_bytes() == (built.directory / "frames" / frame.name).read_bytes()
    (late,) = (whole / "late").iterdir()
    assert late.stem in (whole / "late.jsonl").read_text("utf-8")


def test_verify_reads_what_was_unpacked(whole):
    done = CliRunner().invoke(main, ["verify", str(whole)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("journal.jsonl", b'"misheard"', b'"Misheard"', "BROKEN at"),
        ("amendments.jsonl", b'"contact":"phone"', b'"contact":"visit"', "BROKEN at"),
    ],
)
def test_an_altered_line_is_found_whatever_the_sums_say(whole, name, old, new, said):
    alter(whole / name, old, new)
    subprocess.run(
        "sha256sum $(sed 's/^[^ ]*  //' SHA256SUMS) > new; mv new SHA256SUMS", shell=True, cwd=whole, check=True
    )
    assert said in followed(whole)


def test_a_cut_tail_and_a_replaced_object_are_found(whole):
    (frame,) = (whole / "frames").iterdir()
    frame.write_bytes(b"another")
    assert f"BROKEN object: {frame.stem}" in followed(whole)
    (whole / "amendments.jsonl").unlink()
    journal = whole / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert "BROKEN: not sealed" in followed(whole)


def test_a_broken_record_says_so(broken, tmp_path):
    bundle = export(broken.directory, tmp_path / "out", "--even-if-broken")
    assert bundle.name.endswith(".BROKEN")
    readme = (bundle / "README.txt").read_text("utf-8")
    assert readme.startswith("BROKEN: ") and "journal.jsonl:" in readme
    assert "BROKEN at" in followed(bundle)


def test_links_and_strays_stay_out(built, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not of this record")
    (built.directory / "frames" / f"{'0' * 64}.dcm").write_bytes(b"of another patient, never acknowledged")
    (built.directory / "private" / f"{'0' * 64}.mpps").symlink_to(secret)
    (built.directory / "private" / "notes.txt").write_text("x")
    bundle = export(built.directory, tmp_path / "out", "--identity", "--even-if-broken")
    assert len(list((bundle / "frames").iterdir())) == 1
    assert [path.name for path in (bundle / "private").iterdir()] == ["identity.json"]


def test_it_is_the_same_every_time(built, tmp_path):
    made = []
    for name in ("a", "b"):
        export(built.directory, tmp_path / name, "--identity")
        (path,) = (tmp_path / name).glob("*.zip")
        assert path.stat().st_mode & 0o777 == 0o600
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_a_played_case_with_its_wire(tmp_path: Path) -> None:
    played = play("quick", tmp_path / "room")
    (record,) = [each for each in played.data.joinpath("records").iterdir() if (each / "private").is_dir()]
    bundle = export(record, tmp_path / "out", "--identity")
    assert list((bundle / "wire").iterdir()) and list((bundle / "frames").iterdir())
    assert followed(bundle) == last_said(bundle)
    checkpoints = bundle / "checkpoints.jsonl"
    assert not list(bundle.rglob("private.pem"))
    checkpoints.write_bytes(checkpoints.read_bytes().replace(b'"seq":', b'"seq":1'))
    assert "BROKEN signature" in followed(bundle)
    wire = next((bundle / "wire").iterdir())
    alter(wire, b'"dir":"rx"', b'"dir":"tx"')
    assert "BROKEN at" in followed(bundle)
