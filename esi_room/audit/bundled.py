"""A bundle, verified as it came: taken apart by rules into a temporary directory, and then held like any record.

    <record>.zip -> a temporary <record>/ -> verify_record, and SHA256SUMS

Rules:
- Nothing is written but below the temporary directory, which is this user's alone and gone afterwards. A zip with a
  name that could lead elsewhere (absolute, `..`, a backslash), a link, a name that is there twice, or a file that is
  encrypted is refused (BrokenRecord), whatever else it holds.
- Sizes are what the zip's directory says, at most. One that says more than a bundle can have is refused before
  anything of it is unpacked.
- What is no part of a record (the page, the README) is read for its digest, and not written.
- SHA256SUMS finds what was damaged on its way. Whoever changes a file can change that as well: the chain, the
  signatures and what is known of the room's keys from elsewhere are the proof.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from esi_room.errors import BrokenRecord, RecordError
from esi_room.record.verify import Report, verify_record
from esi_room.record.verify_checkpoints import Checkpoint, Signing, read_keys
from esi_room.record.verify_lines import Problem, file_digest, opened

SUMS = "SHA256SUMS"
MAX_FILES = 200_000  # a case of eight hours with an image every second has some 30,000
MAX_DIRECTORY_BYTES = 64 << 20  # of the zip's own: some 150 octets a file
MAX_RATIO = 100  # unpacked to packed: every line holds 32 octets of hash that nothing can pack, so a record has some 10
MAX_SMALL_BYTES = 1 << 20  # below that a ratio says nothing
MAX_SUMS_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20
_END_BYTES = (64 << 10) + 22  # of a zip: its end record, and the longest comment
_FOLDERS = ("frames", "wire", "private")
_ROOT = re.compile(r"(\d{8}T\d{6}Z-[0-9a-f]{4})(\.BROKEN)?")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_PART = re.compile(
    r"(journal|amendments|checkpoints|late)\.jsonl|torn-[a-z0-9-]{1,80}|SHA256SUMS|[a-z]+/[A-Za-z0-9_.-]+"
)
_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_./-]{1,300})")
_BAD = (BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, zlib.error, struct.error)

Progress = Callable[[int], None]


class Bundle(NamedTuple):
    """A bundle as a directory. `sums`: of every file in it, by its name there."""

    directory: Path
    sums: dict[str, str]


def is_unpacked(directory: Path) -> bool:
    """Whether this is a bundle that somebody has unpacked, and not a record in its room."""
    return (directory / SUMS).is_file() and (directory / "journal.jsonl").is_file()


def verify_bundle(path: Path, *, witnessed: Iterable[Checkpoint] = (), progress: Progress = lambda _: None) -> Report:
    """A zip, or the directory that somebody unpacked. BrokenRecord: it is no bundle, or one that is not to be unpacked.
    RecordError: this machine has no room for it."""
    if path.is_dir():
        directory = path.resolve()
        return _verified(Bundle(directory, _sums_of(directory)), witnessed, progress)
    with unpacked(path, progress) as bundle:
        report = _verified(bundle, witnessed, progress)
        return _as_in(path, bundle.directory, report)


def _verified(bundle: Bundle, witnessed: Iterable[Checkpoint], progress: Progress) -> Report:
    directory = bundle.directory
    keys = read_keys(directory)
    report = verify_record(
        directory,
        None,
        signing=Signing(keys, False, tuple(each for each in witnessed if each.record == directory.name)),
        left_out=not any((directory / folder).is_dir() for folder in _FOLDERS),
        parts=frozenset({"late", "late.jsonl", "keys", SUMS}) | {name.partition("/")[0] for name in bundle.sums},
        progress=progress,
    )
    if keys:
        said = ", ".join(sorted(keys))
        report.notes.append(f"the room's key {said} came with these files: compare it with what you noted of the room")
    named = {problem.file for problem in report.problems}
    report.problems += [each for each in _damaged(bundle) if each.file not in named]
    return report


def _damaged(bundle: Bundle) -> Iterator[Problem]:
    """What SHA256SUMS says otherwise; and late objects, which no line of this record names."""
    listed: dict[str, str] = {}
    if SUMS not in bundle.sums:
        yield Problem(bundle.directory / SUMS, None, "is missing")
        return
    for number, line in enumerate(_listed(bundle.directory), 1):
        match = _SUM.fullmatch(line)
        if match is None or match[2] in listed:
            yield Problem(bundle.directory / SUMS, number, "no line of sha256sum, or a file is named twice")
            return
        listed[match[2]] = match[1]
    for name in sorted((listed.keys() | bundle.sums.keys()) - {SUMS}):
        expected, found = listed.get(name, "nothing"), bundle.sums.get(name, "none")
        if expected != found:
            yield Problem(bundle.directory / name, None, f"is not the file that {SUMS} names", expected, found)
        elif name.startswith("late/") and name != f"late/{found}.dcm":
            yield Problem(bundle.directory / name, None, "the object was altered", Path(name).stem, found)


def _listed(directory: Path) -> list[str]:
    try:
        with opened(directory / SUMS) as file:
            *whole, rest = file.read(MAX_SUMS_BYTES).decode("ascii", "replace").split("\n")
            return [*whole, rest] if rest else whole
    except OSError:
        return []


def _sums_of(directory: Path) -> dict[str, str]:
    """Of the files in a directory that somebody unpacked; links are not followed, and count for nothing."""
    found = {}
    for path in sorted([*directory.glob("*"), *directory.glob("*/*")]):
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
            try:
                found[path.relative_to(directory).as_posix()] = file_digest(path)
            except OSError:
                continue
    return found


def _as_in(path: Path, directory: Path, report: Report) -> Report:
    """With the files named as they are in the zip."""
    return replace(
        report,
        problems=[
            replace(each, file=path / each.file.relative_to(directory)) if each.file.is_relative_to(directory) else each
            for each in report.problems
        ],
    )


@contextmanager
def unpacked(path: Path, progress: Progress = lambda _: None) -> Iterator[Bundle]:
    """What is of a record in this zip, for a while. BrokenRecord, RecordError."""
    with tempfile.TemporaryDirectory(prefix="esi-room-") as folder:
        try:
            with opened(path.resolve()) as file:
                bundle = _taken_apart(file, Path(folder), progress)
        except _BAD as error:
            raise BrokenRecord(f"{path} is no bundle that can be read: {str(error)[:200] or 'damaged'}") from None
        except OSError as error:
            raise RecordError(f"{path} cannot be unpacked into {folder}: {error.strerror or error}") from error
        except _Refused as error:
            raise BrokenRecord(f"{path} is no bundle, and was not unpacked: {error}") from None
        yield bundle


class _Refused(Exception):
    """Why this zip is none that an export made."""


def _taken_apart(file: BinaryIO, folder: Path, progress: Progress) -> Bundle:
    size_bytes = file.seek(0, 2)
    if _directory_bytes(file, size_bytes) > MAX_DIRECTORY_BYTES:
        raise _Refused("its directory is larger than that of any bundle")
    with ZipFile(file) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        root = _judged(infos, size_bytes)
        match = _ROOT.fullmatch(root)
        if match is None:
            raise _Refused(f"{root!r} is no record's id")
        directory = folder / match[1]
        directory.mkdir(0o700)
        sums = {}
        for info in infos:
            name = info.filename.removeprefix(f"{root}/")
            target = directory / name if _PART.fullmatch(name) else None
            sums[name] = _copied(archive, info, target, progress)
    return Bundle(directory, sums)


def _directory_bytes(file: BinaryIO, size_bytes: int) -> int:
    """What the end record of a zip says of its directory (APPNOTE 4.3.16, 4.3.14)."""
    file.seek(max(0, size_bytes - _END_BYTES))
    end = file.read(_END_BYTES)
    large, small = end.rfind(b"PK\6\6"), end.rfind(b"PK\5\6")
    if large >= 0:
        return int.from_bytes(end[large + 40 : large + 48], "little")
    return int.from_bytes(end[small + 12 : small + 16], "little") if small >= 0 else 0


def _judged(infos: list[ZipInfo], size_bytes: int) -> str:
    """The one directory that all of it is in."""
    if not infos or len(infos) > MAX_FILES:
        raise _Refused(f"it holds {len(infos)} files")
    if sum(info.compress_size for info in infos) > size_bytes:
        raise _Refused("files in it overlap")
    for info in infos:
        _judge(info)
    if len({info.filename for info in infos}) != len(infos):
        raise _Refused("a name is in it twice")
    roots = {info.filename.partition("/")[0] for info in infos}
    if len(roots) != 1:
        raise _Refused("it holds more than one directory")
    return roots.pop()


def _judge(info: ZipInfo) -> None:
    said = info.orig_filename[:100]
    parts = info.orig_filename.split("/")
    if not 2 <= len(parts) <= 3 or not all(_NAME.fullmatch(part) for part in parts):
        raise _Refused(f"it holds {said!r}, which is no name of a bundle's file")
    mode = info.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise _Refused(f"{said!r} is no regular file")
    if info.flag_bits & 1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise _Refused(f"{said!r} is encrypted, or packed in another way than bundles are")
    if info.file_size > MAX_SMALL_BYTES and info.file_size > MAX_RATIO * info.compress_size:
        raise _Refused(f"{said!r} would become {info.file_size} bytes from {info.compress_size}")


def _copied(archive: ZipFile, info: ZipInfo, target: Path | None, progress: Progress) -> str:
    """SHA-256 of a file in the zip, and its octets in `target`."""
    digest = hashlib.sha256()
    if target is not None:
        target.parent.mkdir(0o700, exist_ok=True)
    with archive.open(info) as source, _written(target) as write:
        while chunk := source.read(_CHUNK_BYTES):
            progress(len(chunk))
            digest.update(chunk)
            write(chunk)
    return digest.hexdigest()


@contextmanager
def _written(target: Path | None) -> Iterator[Callable[[bytes], object]]:
    if target is None:
        yield lambda _: None
        return
    with target.open("xb") as file:
        yield file.write
