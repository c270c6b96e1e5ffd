"""The one receive buffer.

Rules:
- One owner of the buffer for every protocol. A `Grammar` only looks at it and says what lies at its start.
- Every byte that came in leaves again exactly once: in a `Frame`, in a `Junk`, dropped as filling, or it is
  still `pending`.
- Resynchronisation slides: a grammar that rejects the start of the buffer says how few bytes it is sure about.
- A grammar sees at most `max_frame_bytes`. So nothing longer ever waits for its end, noise costs bounded
  memory and time, and what comes out does not depend on how the bytes were split into chunks.
- What a grammar says of some bytes it must also say when more bytes follow them; only `NEED_MORE` may change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from esi_room.clock import NS, Stamp


class Take(NamedTuple):
    """The first `size` bytes are one intact frame."""

    size: int


class Skip(NamedTuple):
    """The first `size` bytes are no frame, because of `reason` (one or two words: it becomes a counter's name)."""

    size: int
    reason: str


class Drop(NamedTuple):
    """The first `size` bytes are legal filling between frames (a lone flag byte): accounted for, not junk."""

    size: int


NEED_MORE = None
Verdict = Take | Skip | Drop | None
Grammar = Callable[[bytes], Verdict]


class Frame(NamedTuple):
    """An intact frame and the stamp of the chunk that brought its first byte."""

    octets: bytes
    stamp: Stamp


class Junk(NamedTuple):
    """Bytes that are no frame, and why."""

    reason: str
    octets: bytes
    stamp: Stamp


class _Piece(NamedTuple):
    """`data[start:end]`, judged. `reason` None: a frame."""

    start: int
    end: int
    reason: str | None


class Receiver:
    """Bytes in, frames and junk out. Neighbouring junk of one reason comes as one piece for each call."""

    def __init__(self, grammar: Grammar, *, max_frame_bytes: int, inter_byte_s: float | None = None) -> None:
        self._grammar = grammar
        self._max = max_frame_bytes
        self._inter_byte_ns = None if inter_byte_s is None else round(inter_byte_s * NS)
        self._buffer = b""
        self._marks: list[tuple[int, Stamp]] = []  # (offset in the buffer, stamp) of each chunk still in it
        self._last_mono_ns = 0

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, chunk: bytes, stamp: Stamp) -> list[Frame | Junk]:
        """What these bytes complete, in stream order. An empty chunk only lets time pass."""
        out: list[Frame | Junk] = []
        if self._paused_too_long(stamp):
            out += self.flush("pause inside a frame")
        if not chunk:
            return out
        self._last_mono_ns = stamp.mono_ns
        self._marks.append((len(self._buffer), stamp))
        self._buffer += chunk
        return out + self._drain(None)

    def flush(self, reason: str) -> list[Frame | Junk]:
        """Give up what is pending (the line was lost, the sender fell silent inside a frame).

        What waited for its end is junk; an intact frame that lay hidden behind a false start still comes out.
        """
        return self._drain(reason)

    def _paused_too_long(self, stamp: Stamp) -> bool:
        if self._inter_byte_ns is None or not self._buffer:
            return False
        return stamp.mono_ns - self._last_mono_ns > self._inter_byte_ns

    def _drain(self, give_up: str | None) -> list[Frame | Junk]:
        """Judge the buffer from its start; with `give_up`, nothing is left waiting."""
        pieces: list[_Piece] = []
        at = 0
        while at < len(self._buffer):
            window = self._buffer[at : at + self._max]
            verdict = self._grammar(window)
            if verdict is None:
                if len(window) == self._max:
                    verdict = Skip(1, "too long")
                elif give_up is not None:
                    verdict = Skip(1, give_up)
                else:
                    break
            if not 0 < verdict.size <= len(window):
                raise ValueError(f"grammar judged {verdict.size} of {len(window)} bytes")
            _append(pieces, at, verdict)
            at += verdict.size
        out = [self._made(piece) for piece in pieces]
        self._forget(at)
        return out

    def _made(self, piece: _Piece) -> Frame | Junk:
        octets, stamp = self._buffer[piece.start : piece.end], self._stamp(piece.start)
        return Frame(octets, stamp) if piece.reason is None else Junk(piece.reason, octets, stamp)

    def _stamp(self, at: int) -> Stamp:
        """Of the chunk that brought the byte at `at`."""
        return next(stamp for start, stamp in reversed(self._marks) if start <= at)

    def _forget(self, size: int) -> None:
        """The first `size` bytes have left."""
        if not size:
            return
        stamp = self._stamp(size)
        self._buffer = self._buffer[size:]
        later = [(start - size, s) for start, s in self._marks if start > size]
        self._marks = [(0, stamp), *later] if self._buffer else []


def _append(pieces: list[_Piece], at: int, verdict: Take | Skip | Drop) -> None:
    """Neighbouring junk of one reason is one piece: sliding by a byte must not make a thousand entries."""
    end = at + verdict.size
    if isinstance(verdict, Take):
        pieces.append(_Piece(at, end, None))
    elif isinstance(verdict, Skip):
        last = pieces[-1] if pieces else None
        if last is not None and last.reason == verdict.reason and last.end == at:
            pieces[-1] = last._replace(end=end)
        else:
            pieces.append(_Piece(at, end, verdict.reason))
