"""The worker's processes, as the server sees them. Whoever is cancelled ends the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from esi_room.display.records.told import Made, Verified

MOST_PAGE_BYTES = 128 << 20  # a day's record has 20 MiB
MAKE_S = 300.0  # a record of eight hours takes some 10 s
MODULE = "esi_room.display.records.worker"
_PACKAGES = str(Path(__file__).parents[3])


class CannotShow(Exception):
    """There is no page of a record, and why."""


@asynccontextmanager
async def _process(*arguments: str) -> AsyncGenerator[asyncio.StreamReader]:
    """Its standard output. It is killed when the block ends before it."""
    path = os.pathsep.join(filter(None, (_PACKAGES, os.environ.get("PYTHONPATH"))))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", MODULE, *arguments),  # -P: nothing is imported from where we were started
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=MOST_PAGE_BYTES,
        env=os.environ | {"PYTHONPATH": path},
    )
    if process.stdout is None:
        raise CannotShow("no process can be started for it")
    try:
        yield process.stdout
    finally:
        if not process.stdout.at_eof():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def verified(data: Path, record: str | None) -> AsyncGenerator[Verified]:
    """Of the room, or of one record of it; ends early where the worker does."""
    async with _process("verify", str(data), *(() if record is None else (record,))) as out:
        while line := await out.readline():
            try:
                yield msgspec.json.decode(line, type=Verified)
            except msgspec.MsgspecError:
                return


async def made(data: Path, record: str, *, identity: bool) -> tuple[Made, bytes]:
    """The page of a record. CannotShow."""
    async with asyncio.timeout(MAKE_S), _process("page", str(data), record, *(["identity"] if identity else [])) as out:
        try:
            head = msgspec.json.decode(await out.readline(), type=Made)
            body = await out.read()
        except (msgspec.MsgspecError, ValueError) as error:
            raise CannotShow("the page could not be made") from error
    if head.error is not None or not body:
        raise CannotShow(head.error or "the page could not be made")
    return head, body
