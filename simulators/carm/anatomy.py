"""A lumbar spine from T12 to the sacrum, pelvis and soft tissue, as a list of solids.

Rules of this file:
- Sizes are plausible for an adult and taken from nobody: good to look at, useless to measure.
- Shapes are chosen for what fluoroscopy shows of them: endplates, pedicles ("owl eyes"), spinous process, lamina
  and the interlaminar window between two of them, facet joints, transverse processes, iliac crests.
- y = 0 is the middle of the trunk; the patient lies prone, so the back (y > 0) is nearest to the detector in AP.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simulators.carm.solids import WAIST, Array, Solid

# Attenuation at about 50 keV effective (75 kV, 3 mm Al), per mm. Bone is what it adds to soft tissue.
TISSUE_PER_MM = 0.0205
CORTICAL_PER_MM = 0.052
CANCELLOUS_PER_MM = 0.0150

TRUNK_RADII_MM = (165.0, 108.0)


class Vertebra(NamedTuple):
    """`radii_mm`: half width, half depth, half height of the body. `tilt_deg`: its upper endplate faces forward."""

    name: str
    radii_mm: tuple[float, float, float]
    disc_mm: float
    tilt_deg: float
    pedicle_mm: tuple[float, float, float]
    """Distance from the midline, half width, half height."""


VERTEBRAE = (
    Vertebra("T12", (19.0, 14.5, 12.2), 6.5, -12.0, (15.0, 3.6, 7.4)),
    Vertebra("L1", (19.5, 15.0, 12.8), 7.5, -11.0, (15.2, 3.8, 7.4)),
    Vertebra("L2", (20.3, 15.5, 13.2), 8.5, -7.0, (15.8, 4.0, 7.3)),
    Vertebra("L3", (21.2, 16.0, 13.4), 9.8, -1.0, (16.8, 4.6, 7.2)),
    Vertebra("L4", (22.2, 16.3, 13.4), 11.0, 7.0, (18.4, 5.6, 7.2)),
    Vertebra("L5", (23.4, 16.5, 13.2), 10.5, 19.0, (21.8, 7.6, 7.4)),
)
SACRUM_TILT_DEG = 38.0
_L4, _L4_HEIGHT_MM, _L4_DEPTH_MM = 4, 20.0, 8.0  # where L4 lies: z, y of its centre


class Frame(NamedTuple):
    """A place with a direction: `at(x, y, z)` gives patient coordinates of a point in its own."""

    origin: Array
    axes: Array

    def at(self, x: float, y: float, z: float) -> Array:
        return np.asarray(self.origin + self.axes @ np.array([x, y, z]), dtype=np.float64)


def turned(x_deg: float = 0.0, y_deg: float = 0.0, z_deg: float = 0.0) -> Array:
    """Rotation about x, then y, then z."""
    out = np.eye(3)
    for axis, angle in enumerate((x_deg, y_deg, z_deg)):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i], step[i, j], step[j, i], step[j, j] = c, -s, s, c
        out = step @ out
    return out


def spine_frames() -> dict[str, Frame]:
    """Centre and attitude of each vertebral body and of S1, head to tail."""
    frames: dict[str, Frame] = {}
    here = np.array([0.0, _L4_DEPTH_MM, _L4_HEIGHT_MM])
    for upper in range(_L4, -1, -1):
        frames[VERTEBRAE[upper].name] = Frame(here, turned(x_deg=VERTEBRAE[upper].tilt_deg))
        if upper:
            here = here + _step_mm(VERTEBRAE[upper - 1], VERTEBRAE[upper])
    here = frames["L4"].origin - _step_mm(VERTEBRAE[_L4], VERTEBRAE[_L4 + 1])
    frames["L5"] = Frame(here, turned(x_deg=VERTEBRAE[_L4 + 1].tilt_deg))
    sacrum = turned(x_deg=SACRUM_TILT_DEG)
    down = frames["L5"].axes[:, 2] + sacrum[:, 2]
    frames["S1"] = Frame(here - down / np.linalg.norm(down) * (13.2 + 10.5 + 14.0), sacrum)
    return frames


def _step_mm(upper: Vertebra, lower: Vertebra) -> Array:
    """From the lower body's centre to the upper one's."""
    angle = math.radians((upper.tilt_deg + lower.tilt_deg) / 2)
    distance = upper.radii_mm[2] + upper.disc_mm + lower.radii_mm[2]
    return np.array([0.0, -math.sin(angle), math.cos(angle)]) * distance


def spine() -> list[Solid]:
    """Every bone that moves with the back."""
    frames = spine_frames()
    solids: list[Solid] = []
    for vertebra in VERTEBRAE:
        solids += _body(frames[vertebra.name], vertebra)
        solids += _arch(frames[vertebra.name], vertebra)
    return solids + _sacrum(frames["S1"]) + _pelvis(frames["S1"])


def _bone(
    centre: Array, axes: Array, radii: tuple[float, float, float], cortex_mm: float, shape: str = "ellipsoid"
) -> list[Solid]:
    """Dense shell of `cortex_mm` around cancellous bone."""
    inner = (radii[0] - cortex_mm, radii[1] - cortex_mm, radii[2] - cortex_mm)
    kind = {"ellipsoid": "ellipsoid", "cylinder": "cylinder", "waisted": "waisted"}[shape]
    solids = [Solid(centre, axes, radii, kind, CORTICAL_PER_MM)]  # type: ignore[arg-type]
    if min(inner) > 0:
        solids.append(Solid(centre, axes, inner, kind, CANCELLOUS_PER_MM - CORTICAL_PER_MM))  # type: ignore[arg-type]
    return solids


def _body(frame: Frame, vertebra: Vertebra) -> list[Solid]:
    return _bone(frame.origin, frame.axes, vertebra.radii_mm, 1.0, "waisted")


def _arch(frame: Frame, vertebra: Vertebra) -> list[Solid]:
    """Everything behind the body."""
    back = vertebra.radii_mm[1] * (1.0 + WAIST)
    solids = _spinous(frame, back)
    for side in (-1.0, 1.0):
        solids += _side_of_arch(frame, vertebra, back, side)
    return solids


def _spinous(frame: Frame, back: float) -> list[Solid]:
    blade = _bone(frame.at(0, back + 31, -10), frame.axes @ turned(x_deg=-14), (3.3, 15.0, 8.5), 1.2)
    return blade + _bone(frame.at(0, back + 42, -13), frame.axes @ turned(x_deg=-14), (5.2, 5.5, 9.0), 1.3)


def _side_of_arch(frame: Frame, vertebra: Vertebra, back: float, side: float) -> list[Solid]:
    across, half_width, half_height = vertebra.pedicle_mm

    def piece(
        at: tuple[float, float, float],
        radii: tuple[float, float, float],
        cortex_mm: float,
        turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
        shape: str = "ellipsoid",
    ) -> list[Solid]:
        turning = turned(turn[0], turn[1] * side, turn[2] * side)
        return _bone(frame.at(at[0] * side, at[1], at[2]), frame.axes @ turning, radii, cortex_mm, shape)

    transverse = across + half_width + (11.0 if vertebra.name != "T12" else 4.0)
    return [
        # A cylinder's long axis is its third: turned forward by 90 degrees it runs from the body to the arch.
        *piece((across, back + 1.5, 4.5), (half_width, half_height, 7.5), 1.7, (90.0, 0.0, 0.0), "cylinder"),
        *piece((transverse, back + 8, 4.5), (14.0, 3.6, 5.4), 1.3, (0.0, -8.0, 12.0)),
        *piece((across - 0.5, back + 11.5, 14.5), (5.2, 5.5, 8.6), 1.1),
        *piece((across - 2.0, back + 13.5, -1.5), (4.6, 4.2, 11.0), 1.2, (0.0, 8.0, 0.0)),
        *piece((across - 4.0, back + 16.5, -18.5), (5.0, 4.8, 9.8), 1.1, (0.0, 4.0, 0.0)),
        *piece((7.2, back + 19.0, -6.0), (9.4, 3.6, 10.0), 1.3, (-12.0, 0.0, -32.0)),
    ]


def _sacrum(frame: Frame) -> list[Solid]:
    """Three fused bodies, each smaller and further back, their wings, and the foramina between them."""
    solids = _bone(frame.at(0, 1, 0), frame.axes, (23.0, 14.5, 13.5), 0.8, "waisted")
    for row, (width, depth) in enumerate(((19.0, 11.5), (15.0, 9.0)), start=1):
        solids += _bone(
            frame.at(0, 2.0 * row, -27.0 * row),
            frame.axes @ turned(x_deg=9.0 * row),
            (width, depth, 12.5),
            0.8,
            "waisted",
        )
    solids += _bone(frame.at(0, 24, -18), frame.axes, (2.5, 6.0, 22.0), 0.8)
    for side in (-1.0, 1.0):
        solids += _bone(frame.at(36 * side, 6, -8), frame.axes @ turned(y_deg=24 * side), (25.0, 13.0, 17.0), 0.7)
        solids += _bone(frame.at(30 * side, 8, -34), frame.axes @ turned(y_deg=24 * side), (19.0, 10.0, 18.0), 0.7)
        solids += _bone(frame.at(21 * side, 16, 13), frame.axes, (6.0, 5.5, 9.0), 1.1)
        for row in range(2):
            hole = (5.0, 14.0, 4.6)
            solids.append(
                Solid(
                    frame.at(18 * side, 8, -15.0 - 26 * row),
                    frame.axes,
                    hole,
                    "ellipsoid",
                    -CANCELLOUS_PER_MM * 1.4,
                )
            )
    return solids


def _pelvis(frame: Frame) -> list[Solid]:
    """The wings of the ilium: thin plates, thicker at the crest, which reaches the level of L4/5."""
    solids: list[Solid] = []
    for side in (-1.0, 1.0):
        wing = turned(x_deg=-8, y_deg=20 * side, z_deg=-34 * side)
        centre = frame.origin + np.array([82.0 * side, 2.0, -6.0])
        solids += _bone(centre, wing, (6.5, 52.0, 50.0), 1.2)
        posterior = frame.origin + np.array([47.0 * side, 34.0, -18.0])
        solids += _bone(posterior, turned(y_deg=14 * side, z_deg=-38 * side), (7.0, 15.0, 27.0), 1.1)
    return solids


def soft_tissue() -> list[Solid]:
    """Trunk, the psoas and back muscles (a little denser than the fat between them)."""
    long_axis = np.eye(3)
    trunk = Solid(np.zeros(3), long_axis, (*TRUNK_RADII_MM, 600.0), "cylinder", TISSUE_PER_MM)
    solids = [trunk]
    for side in (-1.0, 1.0):
        psoas = turned(y_deg=-9 * side)
        solids.append(Solid(np.array([42.0 * side, 10.0, 0.0]), psoas, (21.0, 22.0, 110.0), "ellipsoid", 0.0028))
        solids.append(Solid(np.array([34.0 * side, 68.0, 0.0]), long_axis, (27.0, 20.0, 300.0), "cylinder", 0.0016))
    return solids


def bowel_gas(rng: np.random.Generator) -> list[Solid]:
    """Gas in the bowel, in front of the spine: bright shadows that move with the breath."""
    solids: list[Solid] = []
    for _ in range(9):
        side = rng.choice([-1.0, 1.0])
        start = np.array([side * rng.uniform(28, 85), rng.uniform(-75, -45), rng.uniform(-70, 90)])
        heading = rng.normal(size=3) * np.array([1.0, 0.3, 1.0])
        for _ in range(int(rng.integers(2, 6))):
            radii = (rng.uniform(6, 13), rng.uniform(6, 12), rng.uniform(6, 13))
            axes = turned(*rng.uniform(0, 180, 3))
            solids.append(Solid(start.copy(), axes, radii, "ellipsoid", -TISSUE_PER_MM * 0.6))
            heading = heading + rng.normal(size=3) * 0.6
            start = start + heading / np.linalg.norm(heading) * 10.0
    return solids
