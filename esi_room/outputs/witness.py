"""The witness: keeps rooms' signed checkpoints in a file of its own, on a machine where nobody of the rooms writes.

    {"witnessed":"2026-11-23T09:30:00.123456Z","public_key":"<64 hex>","checkpoint":"<the line, octet for octet>"}

Rules:
- What is kept is what the room signed: a message whose signature does not hold, or whose key is not the one that it
  names, is refused and said. What contradicts an earlier checkpoint is kept too, and said: it is the evidence.
- A checkpoint is kept once, durable (the sync in `keep`) before it is counted. A torn last line is cut at the start.
- The broker may be away for hours: the room's newest checkpoint is retained, and speaks for all lines before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from esi_room.clock import Clock, rfc3339
from esi_room.outputs.snapshots import CheckpointState
from esi_room.record.disk import Disk
from esi_room.record.keys import key_id
from esi_room.record.verify_checkpoints import Checkpoint, parse, read_witnessed, signature_holds
from esi_room.record.writing import AppendFile

TOPIC = "esi/+/state/checkpoint"
AMENDMENTS = "esi/+/state/amendment"  # of old records, as they are made
MAX_MESSAGE_BYTES = 8192  # a checkpoint has some 700

Word = Literal["kept", "known", "refused", "contradiction", "new key"]


class Kept(Struct, frozen=True, kw_only=True):
    """A line of the witness's file."""

    witnessed: str
    public_key: str
    checkpoint: str


class Judged(Struct, frozen=True, kw_only=True):
    """What became of a message. `why`: in words, where somebody should look."""

    word: Word
    room: str
    record: str = ""
    seq: int = -1
    why: str = ""


class Witness:
    """One file. OSError: its disk. Every call blocks."""

    def __init__(self, path: Path, clock: Clock, disk: Disk) -> None:
        """ValueError: `path` is there, and no file of a witness."""
        self._clock = clock
        self._seen: dict[str, dict[str, tuple[int, str]]] = {}  # room -> record -> the last seq and its hash
        self._keys: dict[str, str] = {}  # room -> the key that it signed with last
        size_bytes = self._recall(path) if path.exists() else 0
        self._file = AppendFile(disk, path, size_bytes)

    def take(self, topic: str, payload: bytes) -> Judged:
        """A message on `TOPIC` or `AMENDMENTS`: keep it, if it is a room's checkpoint and not known."""
        room = topic.split("/")[1]
        try:
            state = msgspec.json.decode(payload[:MAX_MESSAGE_BYTES], type=CheckpointState)
            public = bytes.fromhex(state.public_key)
        except (msgspec.MsgspecError, ValueError):
            return Judged(word="refused", room=room, why="no checkpoint can be read in the message")
        checkpoint = parse(Path(topic), 0, state.line.encode() + b"\n")
        why = _unfit(room, checkpoint, public)
        if checkpoint is None or why:
            return Judged(word="refused", room=room, why=why)
        judged = self._judge(checkpoint, amendment=topic.endswith("/amendment"))
        if judged.word != "known":
            self._keep(state)
            self._remember(checkpoint)
        return judged

    def close(self) -> None:
        self._file.close()

    def _recall(self, path: Path) -> int:
        found = read_witnessed(path)
        if found.problem is not None:
            raise ValueError(str(found.problem))
        for checkpoint in found.checkpoints:
            self._remember(checkpoint)
        octets = path.read_bytes()
        return octets.rfind(b"\n") + 1

    def _remember(self, checkpoint: Checkpoint) -> None:
        self._seen.setdefault(checkpoint.room, {})[checkpoint.record] = (checkpoint.seq, checkpoint.sha256)
        self._keys[checkpoint.room] = checkpoint.key

    def _judge(self, checkpoint: Checkpoint, *, amendment: bool) -> Judged:
        room, record, seq = checkpoint.room, checkpoint.record, checkpoint.seq
        known = self._seen.get(room, {})
        last = known.get(record)
        word: Word = "kept"
        why = ""
        if last == (seq, checkpoint.sha256):
            word = "known"
        elif last is not None and seq <= last[0]:
            word, why = (
                "contradiction",
                f"seq {last[0]} of it came before this: lines were written anew, or it is an old message",
            )
        elif last is None and known and record < max(known) and not amendment:
            word, why = "contradiction", f"{max(known)}, a later record, came before this"
        elif self._keys.get(room, checkpoint.key) != checkpoint.key:
            word, why = "new key", f"it signs with {checkpoint.key}, and before with {self._keys[room]}"
        return Judged(word=word, room=room, record=record, seq=seq, why=why)

    def _keep(self, state: CheckpointState) -> None:
        now = rfc3339(self._clock.now().wall_ns)
        kept = Kept(witnessed=now, public_key=state.public_key, checkpoint=state.line)
        octets = msgspec.json.encode(kept) + b"\n"
        try:
            self._file.write(octets)
            self._file.sync()
        except OSError:
            self._file.cut_back()
            raise
        self._file.written(len(octets))


def _unfit(room: str, checkpoint: Checkpoint | None, public: bytes) -> str:
    """Why this is not what the room signed; empty if it is."""
    if checkpoint is None:
        return "its line is not a checkpoint of format version 1"
    if checkpoint.room != room:
        return f"it is a checkpoint of another room, {checkpoint.room}"
    if key_id(public) != checkpoint.key or not signature_holds(checkpoint, public):
        return "forged: the signature is not of this line by the key that it names"
    return ""
