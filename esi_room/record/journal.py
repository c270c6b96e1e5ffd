"""The journal: the only writer of a room's record.

Rules:
- `append` gives an event its `seq` and its octets, in the order of the calls; nothing is durable by it.
- The COMMIT POINT is the fdatasync in `_write`: it starts at once when idle, and what arrives while one is under
  way shares the next. Acknowledgements and publication happen only below it.
- If the disk is full or fails, the file is cut back to what was durable and the same octets are written again,
  every RETRY_S, until it works: nothing is acknowledged meanwhile, nothing that was taken is lost, and `problem`
  says why. When PENDING_BYTES wait, `append` refuses (RecordFull) instead of pretending.
- A room always has exactly one open record. `switch` seals it and opens the next; the chain runs across.
- Starting after a crash goes through the same code as every start (`Journal.open`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from esi_room.clock import NS, Clock, Stamp
from esi_room.errors import RecordError, RecordFull
from esi_room.events import Event, RecordOpened, RecordRecovered, RecordSealed
from esi_room.record import wire
from esi_room.record.disk import Disk
from esi_room.record.entry import Cursor
from esi_room.record.opening import Identity, Opened, begin, resume
from esi_room.record.thread import DiskThread
from esi_room.record.wire import Direction
from esi_room.record.writing import Kind, OpenRecord

PENDING_BYTES = 64 << 20  # hours of vitals, minutes of everything; a bound, so that a dead disk ends in words
BATCH_BYTES = 4 << 20  # one write's size: a commit after an outage stays short
RETRY_S = 1.0

log = structlog.get_logger()


__all__ = ["Identity", "Journal", "Receipt", "WireLog"]


class Receipt:
    """An event that has its place in the record: (`record`, `seq`). Durable once `durable()` returns."""

    __slots__ = ("_journal", "_number", "record", "seq")

    def __init__(self, journal: Journal, number: int, record: str, seq: int) -> None:
        self._journal, self._number, self.record, self.seq = journal, number, record, seq

    async def durable(self) -> None:
        """Wait for the commit. RecordError if the journal was closed without it."""
        await self._journal._until_durable(self._number)


class WireLog:
    """The raw bytes of one device, in and out. Calls never block and never fail."""

    def __init__(self, journal: Journal, device: str) -> None:
        self._journal, self._device = journal, device

    def opened(self, stamp: Stamp) -> None:
        """The line was opened."""
        self._journal._wire(self._device, "open", stamp, b"")

    def received(self, stamp: Stamp, octets: bytes) -> None:
        """The device sent these."""
        self._journal._wire(self._device, "rx", stamp, octets)

    def sent(self, stamp: Stamp, octets: bytes) -> None:
        """The device was sent these."""
        self._journal._wire(self._device, "tx", stamp, octets)

    def closed(self, stamp: Stamp) -> None:
        """The line was lost or closed."""
        self._journal._wire(self._device, "close", stamp, b"")


class Journal:
    """A room's record, open for writing: `async with Journal.open(…) as journal`."""

    def __init__(self, root: Path, clock: Clock, identity: Identity, disk: Disk, lock: int) -> None:
        self.root = root
        self.problem: str | None = None
        self._clock, self._identity, self._disk, self._lock = clock, identity, disk, lock
        self._thread = DiskThread()
        self._records: deque[OpenRecord] = deque()  # the last one is open; those before it are being finished
        self._pending_bytes = 0
        self._appended = 0  # events ever appended by this process, and how many of them are durable
        self._durable = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._committed = Cursor("", 0, 0)
        self._last_sync_ns = 0
        self._wire_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._at_opening: list[Callable[[], None]] = []
        self._at_append: list[Callable[[Event, Receipt], None]] = []
        self._at_change: list[Callable[[], None]] = []

    # --- opening ------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, root: Path, clock: Clock, identity: Identity, *, disk: Disk | None = None) -> Journal:
        """The room's journal, its last record recovered or a new one opened. RecordError if another daemon
        writes here, or the disk does not take it."""
        disk = disk or Disk()
        try:
            disk.make_directory(root / "records")
            lock = _lock(root)
        except OSError as error:
            raise RecordError(f"the record cannot be kept in {root}: {error.strerror or error}") from error
        journal = cls(root, clock, identity, disk, lock)
        try:
            opened = resume(root, disk, identity, clock.now().wall_ns)
        except OSError as error:
            journal._release()
            raise RecordError(f"the record in {root} cannot be taken up: {error.strerror or error}") from error
        journal._committed = Cursor(opened.record.id, opened.record.committed_seq, opened.record.journal.size)
        journal._open(opened)
        return journal

    def _open(self, opened: Opened) -> None:
        self._records.append(opened.record)
        for payload in opened.first:
            self._append_any(self._own(payload))

    # --- what everybody uses ------------------------------------------------------------------------------

    @property
    def record(self) -> str:
        """Id of the open record."""
        return self._records[-1].id

    @property
    def kind(self) -> Kind:
        """Of the open record."""
        return self._records[-1].kind

    @property
    def timezone(self) -> str:
        """The room's, an IANA name."""
        return self._identity.timezone

    @property
    def directory(self) -> Path:
        """Of the open record. It exists once the record's first line is durable."""
        return self._records[-1].directory

    @property
    def committed(self) -> Cursor:
        """The end of what is durable."""
        return self._committed

    def append(self, event: Event) -> Receipt:
        """Give `event` its place. RecordFull if PENDING_BYTES wait for the disk, RecordError after `close`."""
        if self._closed:
            raise RecordError("the record is closed: the daemon is stopping")
        if self._pending_bytes > PENDING_BYTES:
            raise RecordFull(f"{self._pending_bytes >> 20} MiB wait for the disk: {self.problem}")
        return self._append_any(event)

    async def commit(self, event: Event) -> Receipt:
        """`append`, and wait until it is durable."""
        receipt = self.append(event)
        await receipt.durable()
        return receipt

    async def settled(self) -> None:
        """Returns when everything appended so far is durable. RecordError if the journal was closed without it."""
        await self._until_durable(self._appended)

    async def beyond(self, cursor: Cursor) -> Cursor:
        """Wait until something is committed that is not before `cursor`; the new end of what is durable."""
        while self.committed == cursor:
            self._moved.clear()
            await self._moved.wait()
        return self.committed

    def wire(self, device: str) -> WireLog:
        """Where `device`'s raw bytes go."""
        return WireLog(self, device)

    def at_opening(self, listener: Callable[[], None]) -> None:
        """`listener` is called when a record was opened, to append what must stand at its beginning."""
        self._at_opening.append(listener)

    def at_append(self, listener: Callable[[Event, Receipt], None]) -> None:
        """`listener` is told every event as it gets its place, and may append what follows from it: that stands right
        behind it. Nothing is durable then."""
        self._at_append.append(listener)

    def at_change(self, listener: Callable[[], None]) -> None:
        """`listener` is called when a record was opened and when `problem` has changed, in the event loop."""
        self._at_change.append(listener)

    async def switch(self, kind: Kind, reason: str) -> str:
        """Seal the open record and open the next; its id, once its first line is durable."""
        if self._closed:
            raise RecordError("the record is closed: the daemon is stopping")
        old = self._records[-1]
        heads = old.wire_heads()
        sealed = RecordSealed(reason=reason, entries=old.seq + 1, wire=heads)
        self._append_any(self._own(sealed))
        old.sealed = True
        now_ns = self._clock.now().wall_ns
        self._open(begin(self.root, self._disk, self._identity, now_ns, kind=kind, previous=old.id, prev=old.prev))
        for listener in self._at_opening:
            listener()
        self._say_change()
        number, record = self._appended, self.record
        await self._until_durable(number)
        return record

    # --- the writer ---------------------------------------------------------------------------------------

    async def __aenter__(self) -> Journal:
        self._writer = asyncio.create_task(self._write_for_ever(), name="journal")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def watch(self) -> None:
        """Returns when the journal is closed; raises what its writer died of."""
        if self._writer is not None:
            await asyncio.shield(self._writer)

    async def close(self) -> None:
        """Write what waits (a failing disk is tried once more, not waited for) and let go of the files."""
        if self._closed:
            return
        self._closed = True
        if self._wire_timer is not None:
            self._wire_timer.cancel()
        self._wake.set()
        try:
            if self._writer is not None:
                await self._writer
        finally:
            self._refuse_waiters()
            self._release()

    async def _write_for_ever(self) -> None:
        while True:
            while self._work_left():
                if not await self._commit_some() and self._stopping():
                    log.error("record_closed_unwritten", reason=self.problem, waiting_bytes=self._pending_bytes)
                    return
            if self._stopping():
                break
            await self._wake.wait()
            self._wake.clear()
        with contextlib.suppress(OSError):
            await self._thread.run(self._sync_wire, self._records[-1])

    def _stopping(self) -> bool:
        return self._closed

    def _work_left(self) -> bool:
        return len(self._records) > 1 or self._records[0].work_left

    def _refuse_waiters(self) -> None:
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(RecordError(f"not written: {self.problem or 'the daemon is stopping'}"))
        self._waiters.clear()

    def _release(self) -> None:
        self._thread.shutdown()
        for record in self._records:
            record.close()
        os.close(self._lock)

    async def _commit_some(self) -> bool:
        """Write and commit what waits, or its first BATCH_BYTES; False if the disk did not take it."""
        record = self._records[0]
        batch, wire_lines = _batch(record.lines), record.take_wire()
        try:
            await self._thread.run(self._write, record, b"".join(batch), wire_lines)
        except OSError as error:
            record.give_back_wire(wire_lines)
            self._say_failing(error)
            if not self._closed:
                await asyncio.sleep(RETRY_S)
            return False
        for _ in batch:
            record.lines.popleft()
        record.committed_seq += len(batch)
        if record.sealed and not record.work_left:
            await self._thread.run(self._finish, record)
            self._records.popleft()
        if batch:
            self._acknowledge(record, batch)
        if await self._wire_durable(record):
            self._say_working()
        return True

    def _write(self, record: OpenRecord, octets: bytes, wire_lines: dict[str, bytes]) -> None:
        """In the writer's thread: wire lines first, then journal lines, then the commit."""
        for device in list(wire_lines):
            file = record.wire_files[device]
            file.write(wire_lines[device])
            file.written(len(wire_lines.pop(device)))
            record.wire_unsynced.add(device)
        if octets:
            record.journal.write(octets)
            record.journal.sync()  # THE COMMIT POINT: below it the lines are durable, above it they are not
            record.journal.written(len(octets))

    async def _wire_durable(self, record: OpenRecord) -> bool:
        """Make the wire files durable if that is due; False if the disk does not. Not in `_write`: no line waits
        for it, and a line that is durable must not be written again because it failed."""
        now_ns = self._clock.now().mono_ns
        if not record.wire_unsynced or now_ns - self._last_sync_ns <= wire.SYNC_S * NS:
            return True
        try:
            await self._thread.run(self._sync_wire, record)
        except OSError as error:
            self._say_failing(error)
            return False
        self._last_sync_ns = now_ns
        return True

    def _sync_wire(self, record: OpenRecord) -> None:
        for device in list(record.wire_unsynced):
            record.wire_files[device].sync()
            record.wire_unsynced.discard(device)

    def _finish(self, record: OpenRecord) -> None:
        with contextlib.suppress(OSError):  # every journal line is durable; the sealed line names the wire's heads
            self._sync_wire(record)
        record.close()

    def _acknowledge(self, record: OpenRecord, batch: list[bytes]) -> None:
        self._committed = Cursor(record.id, record.committed_seq, record.journal.size)
        self._durable += len(batch)
        self._pending_bytes -= sum(map(len, batch))
        self._moved.set()
        while self._waiters and self._waiters[0][0] <= self._durable:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _say_failing(self, error: OSError) -> None:
        problem = f"the record cannot be written: {error.strerror or error}"
        if self.problem != problem:
            self._set_problem(problem)
            log.error("record_not_writable", reason=problem, waiting_bytes=self._pending_bytes)

    def _say_working(self) -> None:
        if self.problem is not None:
            log.info("record_writable_again", waited_bytes=self._pending_bytes)
            self._set_problem(None)

    def _set_problem(self, problem: str | None) -> None:
        self.problem = problem
        self._say_change()

    def _say_change(self) -> None:
        for listener in self._at_change:
            listener()

    # --- inside -------------------------------------------------------------------------------------------

    def _own(self, payload: RecordOpened | RecordRecovered | RecordSealed) -> Event:
        return Event(source="room", data=payload, received=self._clock.now())

    def _append_any(self, event: Event) -> Receipt:
        record = self._records[-1]
        seq, size = record.append(event)
        self._pending_bytes += size
        self._appended += 1
        self._wake.set()
        receipt = Receipt(self, self._appended, record.id, seq)
        for listener in self._at_append:
            listener(event, receipt)
        return receipt

    async def _until_durable(self, number: int) -> None:
        if number <= self._durable:
            return
        if self._writer is not None and self._writer.done():
            raise RecordError(f"not written: {self.problem or 'the daemon is stopping'}")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((number, waiter))
        await waiter

    def _wire(self, device: str, direction: Direction, stamp: Stamp, octets: bytes) -> None:
        chain = self._records[-1].chain(device)
        if chain.waiting_bytes > PENDING_BYTES:
            return  # the disk has failed for hours; the journal says so
        chain.add(direction, stamp, octets)
        if self._wire_timer is None and not self._closed:
            self._wire_timer = asyncio.get_running_loop().call_later(wire.COALESCE_S, self._wire_due)

    def _wire_due(self) -> None:
        self._wire_timer = None
        self._wake.set()


def _batch(lines: deque[bytes]) -> list[bytes]:
    """The next lines to be written together: all that wait, or about BATCH_BYTES of them."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= BATCH_BYTES:
            break
    return batch


def _lock(root: Path) -> int:
    """One daemon a data directory: an flock on `<data>/lock`, let go by the kernel whatever happens to us."""
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 20).decode(errors="replace").strip()
        os.close(descriptor)
        raise RecordError(f"another esi-room (process {holder or 'unknown'}) writes the record in {root}") from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
