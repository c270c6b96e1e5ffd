"""The snapshots' task (`outputs.feed`) on the axis of a record: what the room published under `state/`, and when.

It is the same projection, with the same interval between two snapshots of one topic and the same staleness. What took
the room time (the disk, the broker, the decoding of an image) takes none here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from esi_room.audit.replay.axis import Moment
from esi_room.clock import NS
from esi_room.events import Entry
from esi_room.outputs.feed import MIN_INTERVAL_S
from esi_room.outputs.state import Projection
from esi_room.outputs.topics import IMAGE

INTERVAL_NS = round(MIN_INTERVAL_S * NS)
_encoder = msgspec.json.Encoder()


class Message(NamedTuple):
    """One message of a replay. `at_ns`: on the axis; `topic`: below the session; `entry`: it is a journal line."""

    at_ns: int
    topic: str
    payload: bytes
    retain: bool
    entry: bool = False


class States:
    """Entries in, snapshots out, in the order of time."""

    def __init__(self) -> None:
        self._projection = Projection()
        self._now = Moment(0, 0, 0)
        self._dirty: set[str] = set()
        self._not_before_ns: dict[str, int] = {}

    def recall(self, before: Iterable[Entry]) -> None:
        """How the procedure in the record before this one ended (`outputs.feed.last_words_before`)."""
        for entry in before:
            self._projection.apply(entry, 0)

    def skip(self, entry: Entry, moment: Moment) -> None:
        """An entry from before the replay begins: known, and not said."""
        self._projection.apply(entry, moment.observed_ns)
        self._now = moment

    def begin(self, moment: Moment) -> Iterator[Message]:
        """What a display that joins at this moment finds."""
        self._projection.expire(moment.at_ns)
        self._now, self._dirty = moment, self._projection.topics
        return self._due(moment.at_ns)

    def until(self, at_ns: int) -> Iterator[Message]:
        """What time alone brings up to this moment: values go stale, topics that were held back are due."""
        while (due_ns := self._next_ns()) is not None and due_ns <= at_ns:
            self._dirty |= self._projection.expire(due_ns)
            yield from self._due(due_ns)

    def end(self) -> Iterator[Message]:
        """What was still held back when the last line came."""
        return self.until(self._now.at_ns + INTERVAL_NS)

    def take(self, entry: Entry, moment: Moment) -> Iterator[Message]:
        """The next entry, after `until` its moment."""
        self._now = moment
        self._dirty |= self._projection.apply(entry, moment.observed_ns)
        self._dirty |= self._projection.expire(moment.at_ns)
        return self._due(moment.at_ns)

    def picture(self, sha256: str, jpeg: bytes | None, problem: str) -> Iterator[Message]:
        """Of the object that the last entry names: `image/last` shows it from now on, or cannot."""
        if jpeg is None:
            self._dirty |= self._projection.cannot_show(problem)
        else:
            yield Message(self._now.at_ns, IMAGE, jpeg, retain=True)
            self._dirty |= self._projection.shows(sha256)
        yield from self._due(self._now.at_ns)

    def _next_ns(self) -> int | None:
        due = [self._not_before_ns[topic] for topic in self._dirty if topic in self._not_before_ns]
        expiry_ns = self._projection.next_expiry()
        return min(due if expiry_ns is None else [*due, expiry_ns], default=None)

    def _due(self, at_ns: int) -> Iterator[Message]:
        for topic in sorted(topic for topic in self._dirty if self._not_before_ns.get(topic, at_ns) <= at_ns):
            self._dirty.discard(topic)
            self._not_before_ns[topic] = at_ns + INTERVAL_NS
            snapshot = self._projection.snapshot(topic, self._now.wall_ns + at_ns - self._now.at_ns)
            yield Message(at_ns, topic, _encoder.encode(snapshot), retain=True)
