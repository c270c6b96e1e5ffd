"""Orders that are dropped as files into a folder.

    *.wl, *.dcm     a worklist item each, as dcmtk's wlmscpfs and Orthanc take them
    *.toml, *.json  the fields of `commands.Order`; several as `[[order]]` (TOML), as `"order": [...]` or a list (JSON)

Rules of this file:
- A broken file, or a broken order in one, is named with what is wrong and where, and costs no other order.
- Files that change while they are looked at are looked at again: half a file is no order.
- Nothing is remembered: the daemon says in which state it has seen the folder (`seen`).
"""

from __future__ import annotations

import hashlib
import json
import stat
import threading
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import msgspec
from pydicom import dcmread

from esi_room.carm.caller.entity import UnavailableError
from esi_room.carm.wire import OrdersRead, ReadFolder
from esi_room.carm.worklist.items import NoOrder, orders_of
from esi_room.commands import Order

# A worklist item is 4 KiB; an image with its pixels is no order.
MAX_FILE_BYTES = 1 << 20
MAX_FILES = 500
# For a file that is being written: a copy over the network writes on within this time.
SETTLE_S = 0.3
# Then it is read as it is.
MAX_LOOKS = 10


def read(_line: object, request: ReadFolder) -> OrdersRead:
    """The folder's orders, in the order of their files' names. UnavailableError where the folder cannot be read."""
    folder = Path(request.path)
    try:
        seen = _state(folder)
        if seen == request.seen:
            return OrdersRead(id=request.id, orders=None, seen=seen)
        seen = _settled(folder, seen)
        orders, problems = _read(folder)
    except OSError as error:
        raise UnavailableError(f"the folder cannot be read: {error.strerror or error}") from error
    return OrdersRead(id=request.id, orders=tuple(orders), problems=problems, seen=seen)


def _settled(folder: Path, seen: str) -> str:
    for _ in range(MAX_LOOKS):
        threading.Event().wait(SETTLE_S)
        before, seen = seen, _state(folder)
        if seen == before:
            break
    return seen


def _state(folder: Path) -> str:
    """Changes when a file comes, goes or is written."""
    digest = hashlib.sha256()
    for path, status in _files(folder):
        digest.update(f"{path.name}\0{status.st_mtime_ns}\0{status.st_size}\0{status.st_ino}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[tuple[Path, Any]]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _READERS or path.name.startswith("."):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield path, status


def _read(folder: Path) -> tuple[list[Order], dict[str, str]]:
    orders: list[Order] = []
    problems: dict[str, str] = {}
    for number, (path, status) in enumerate(_files(folder)):
        if number >= MAX_FILES:
            problems[path.name] = f"not read: there are more than {MAX_FILES} files"
        elif status.st_size > MAX_FILE_BYTES:
            problems[path.name] = f"larger than {MAX_FILE_BYTES >> 20} MiB"
        else:
            found, wrong = _read_file(path)
            orders += found
            if wrong:
                problems[path.name] = "; ".join(wrong)
    return orders, problems


def _read_file(path: Path) -> tuple[list[Order], list[str]]:
    """Its orders, and what is wrong with it. OSError is told as well: the file may be somebody else's."""
    try:
        return _READERS[path.suffix.lower()](path)
    except OSError as error:
        return [], [f"cannot be read: {error.strerror or error}"]
    except (ValueError, RecursionError) as error:  # what is wrong, with its line, of TOML, JSON and UTF-8
        return [], [str(error)]


def _dicom(path: Path) -> tuple[list[Order], list[str]]:
    try:
        return orders_of(dcmread(path, force=True)), []
    except NoOrder as error:
        return [], [str(error)]
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever it stumbles over, and quotes values
        return [], [f"no DICOM file ({type(error).__name__})"]


def _toml(path: Path) -> tuple[list[Order], list[str]]:
    return _plain(tomllib.loads(path.read_text("utf-8")))


def _json(path: Path) -> tuple[list[Order], list[str]]:
    return _plain(json.loads(path.read_text("utf-8")))


def _plain(content: Any) -> tuple[list[Order], list[str]]:
    several = content.get("order") if isinstance(content, dict) else content
    found: list[Order] = []
    wrong: list[str] = []
    for number, each in enumerate(several if isinstance(several, list) else [content], start=1):
        try:
            found.append(msgspec.convert(_texts(each), Order))
        except msgspec.ValidationError as error:
            wrong.append(f"order {number}: {error}" if isinstance(several, list) else str(error))
    return found, wrong


def _texts(value: Any) -> Any:
    """TOML's own dates and times as the text that a JSON file would have."""
    if isinstance(value, dict):
        return {key: _texts(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.replace(tzinfo=None, microsecond=0).isoformat()
    return value.isoformat() if isinstance(value, date | time) else value


_READERS: dict[str, Callable[[Path], tuple[list[Order], list[str]]]] = {
    ".wl": _dicom,
    ".dcm": _dicom,
    ".toml": _toml,
    ".json": _json,
}
