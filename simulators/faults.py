"""What can be wrong with a line, switchable while it runs.

A rate is "one in N", drawn from the line's own seeded generator; 0 is never. `bad_checksum_one_in_frames` is the
device's own mistake and is applied where the frame is built; the others happen on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

NOISE_MAX_BYTES = 24
# Bytes that some protocol of the room takes for a flag, an escape or flow control: noise made of these is the hardest.
FLAG_BYTES = b"\x7e\x7d\x02\x03\x01\x0d\x0a\x85\x80\xc0\xc1"
FLOW_BYTES = b"\x11\x13"


@dataclass
class Faults:
    """One line's faults."""

    noise_one_in_frames: int = 0
    """Random bytes, some of them flag bytes, before a frame."""
    break_one_in_frames: int = 0
    """A break condition, which a UART delivers as 0x00, before a frame."""
    flow_one_in_frames: int = 0
    """XON or XOFF as a data byte before a frame."""
    truncate_one_in_frames: int = 0
    """A frame that ends early."""
    flip_one_in_bytes: int = 0
    """A byte with one bit turned over."""
    bad_checksum_one_in_frames: int = 0
    """A frame that left the device with a wrong checksum."""

    @classmethod
    def parse(cls, text: str) -> Faults:
        """From `noise=20,flip=2000`: each name up to its first underscore, and its N."""
        known = {field.name.partition("_one_in")[0]: field.name for field in fields(cls)}
        rates = {}
        for part in filter(None, text.replace(" ", "").split(",")):
            name, _, count = part.partition("=")
            if name not in known or not count.isdecimal():
                raise ValueError(f"fault {part!r}: must be name=N, one frame or byte in N; names: {', '.join(known)}")
            rates[known[name]] = int(count)
        return cls(**rates)

    def spoil(self, octets: bytes, rng: Random) -> tuple[bytes, list[str]]:
        """What the line makes of a frame, and the names of what it did to it."""
        damage: list[str] = []
        octets = self._cut(octets, rng, damage)
        octets = self._flip(octets, rng, damage)
        return self._prefix(rng, damage) + octets, damage

    def _cut(self, octets: bytes, rng: Random, damage: list[str]) -> bytes:
        if len(octets) > 1 and one_in(self.truncate_one_in_frames, rng):
            damage.append("truncated")
            return octets[: rng.randrange(1, len(octets))]
        return octets

    def _flip(self, octets: bytes, rng: Random, damage: list[str]) -> bytes:
        if not self.flip_one_in_bytes:
            return octets
        flipped = bytes(
            octet ^ 1 << rng.randrange(8) if one_in(self.flip_one_in_bytes, rng) else octet for octet in octets
        )
        if flipped != octets:
            damage.append("flipped")
        return flipped

    def _prefix(self, rng: Random, damage: list[str]) -> bytes:
        prefix = b""
        if one_in(self.noise_one_in_frames, rng):
            damage.append("noise")
            noise = rng.randbytes(rng.randint(1, NOISE_MAX_BYTES))
            prefix += noise + bytes(rng.choices(FLAG_BYTES, k=rng.randint(0, 2)))
        if one_in(self.break_one_in_frames, rng):
            damage.append("break")
            prefix += b"\0"
        if one_in(self.flow_one_in_frames, rng):
            damage.append("flow")
            prefix += bytes([rng.choice(FLOW_BYTES)])
        return prefix


def one_in(count: int, rng: Random) -> bool:
    """True once in `count` times; never for 0, and without a draw."""
    return count > 0 and rng.randrange(count) == 0
