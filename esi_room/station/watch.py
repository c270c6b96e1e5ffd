"""The silence watchdog: who is alive is decided by good frames, never by bytes, callbacks or an open port.

It looks at one opening of the line. `finding` says what is wrong once the device has been silent for
`max_silence_s`; each finding (no bytes at all, bytes that make no frame) is reported once until a good frame comes,
so that a noisy line cannot flood the record.
"""

from __future__ import annotations

from esi_room.clock import NS, Stamp
from esi_room.station import words


class Watch:
    """How long ago a device was last heard, and what came instead."""

    def __init__(self, max_silence_s: float, opened: Stamp) -> None:
        self._limit_ns = round(max_silence_s * NS)
        self._good_ns = opened.mono_ns
        self._byte_ns = opened.mono_ns  # the last one
        self._run_ns = opened.mono_ns  # the first one after a long pause: bytes "arrive" since then
        self._count = 0
        self._sample = b""
        self._said: set[str] = set()

    def bytes_came(self, octets: bytes, stamp: Stamp) -> None:
        """Of any kind."""
        if stamp.mono_ns - self._byte_ns > self._limit_ns:
            self._begin_run(stamp)
        self._byte_ns = stamp.mono_ns
        self._count += len(octets)
        self._sample = (self._sample + octets)[-words.SAMPLE_BYTES :]

    def heard(self, stamp: Stamp) -> None:
        """A good frame."""
        self._good_ns = stamp.mono_ns
        self._begin_run(stamp)
        self._said.clear()

    def finding(self, now: Stamp) -> str | None:
        """What to say of the silence, if it is too long and this was not said yet."""
        silence_ns = now.mono_ns - self._good_ns
        if silence_ns < self._limit_ns:
            return None
        quiet_ns, run_ns = now.mono_ns - self._byte_ns, self._byte_ns - self._run_ns
        # Half the limit: a frame that was cut off leaves a few bytes, which do not "arrive"; another device on the
        # port may well speak less often than ours.
        if self._count and quiet_ns < self._limit_ns and run_ns >= self._limit_ns // 2:
            return self._once("unframed", words.unframed(self._count, run_ns, self._sample))
        if not self._count or quiet_ns >= self._limit_ns // 2:
            return self._once("silent", words.silent(quiet_ns))
        # Bytes have only just begun to come: let them show what they are.
        return self._once("waiting", f"no good frame for {words.span(silence_ns)}") if not self._said else None

    def _begin_run(self, stamp: Stamp) -> None:
        self._run_ns = stamp.mono_ns
        self._count, self._sample = 0, b""

    def _once(self, kind: str, text: str) -> str | None:
        if kind in self._said:
            return None
        self._said.add(kind)
        return text
