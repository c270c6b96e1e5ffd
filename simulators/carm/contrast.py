"""Contrast medium: where each droplet of it goes, and when.

Rules of this file:
- A pattern is a fixed cloud of droplets, each with the place it ends at and the injected volume at which it gets
  there. More volume shows more of the same cloud, so a run of frames grows and never flickers.
- The picture is mass: droplets carry the volume that was injected, spread over the pixels that see them.
- Patterns: `epidural` (along the canal, more to the head than to the tail, leaving along the nerve roots: the
  "Christmas tree") and `vascular` (a vein that fills at once and is washed away within seconds).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from simulators.carm.anatomy import VERTEBRAE, spine_frames
from simulators.carm.solids import Array, Beam

Pattern = Literal["epidural", "vascular"]

# Iohexol, 240 mg iodine per mL, at about 50 keV, per mm.
CONTRAST_PER_MM = 0.30
# Aqueous contrast leaves the epidural space slowly: half after ten minutes, plausible and not measured.
EPIDURAL_FADE_S = 850.0
# A vein carries it away with the blood.
VASCULAR_FADE_S = 2.0

DROPLETS = 40_000
_ROOT_SHARE = 0.24  # of the droplets that end along a nerve root
_CANAL_RADII_MM = (11.0, 7.5)
_CEPHALAD_MM_PER_ML, _CAUDAD_MM_PER_ML = 24.0, 15.0
_FRONT_POWER = 0.8  # spread slows as the front grows
_BLUR_MM = 0.95
_PUSHED_ON = 0.15  # share of later volume that carries contrast along; the rest runs past it


class Cloud(NamedTuple):
    """`places`: (n, 3) mm. `arrival_ml`: (n,) injected volume at which each is reached. `share`: (n,) mean 1."""

    places: Array
    arrival_ml: Array
    share: Array


def epidural_cloud(rng: np.random.Generator, target_mm: Array) -> Cloud:
    """Droplets on the wall of the spinal canal and along the nerve roots."""
    axis = _canal_axis()
    start = float(np.interp(target_mm[2], axis[:, 2], np.arange(len(axis), dtype=float)))
    roots = int(DROPLETS * _ROOT_SHARE)
    along, arrival, places = _canal_droplets(rng, axis, start, DROPLETS - roots)
    root_places, root_arrival = _root_droplets(rng, axis, start, roots)
    share = np.ones(DROPLETS)
    # Fat lobules and septa stay empty: streaks and holes that real epidurograms show.
    streak = 0.25 + 1.5 * (np.sin(along * 0.55 + 3.0 * rng.random()) * np.sin(places[:, 0] * 0.8) > -0.25)
    share[: len(streak)] *= streak
    return Cloud(np.vstack([places, root_places]), np.concatenate([arrival, root_arrival]), share / share.mean())


def vascular_cloud(rng: np.random.Generator, target_mm: Array) -> Cloud:
    """Droplets in a vein that leaves the canal to the side and runs up beside the spine."""
    t = np.sort(rng.random(DROPLETS // 2))
    x = 4 + 27 * np.minimum(t * 3, 1.0) + 2.5 * np.sin(9 * t)
    z = -4 * t + 75 * np.maximum(t - 0.3, 0) + 3 * np.sin(14 * t)
    y = -9 * np.minimum(t * 3, 1.0) + 2 * np.sin(7 * t)
    places = target_mm + np.stack([x, y, z], axis=1) + rng.normal(0, 0.5, size=(len(t), 3))
    return Cloud(places, 0.25 * t, np.ones(len(t)))


def line_integrals(beam: Beam, cloud: Cloud, volume_ml: float, *, diluted_by_ml: float = 0.0) -> Array:
    """Attenuation (matrix, matrix) of `volume_ml` of contrast, pushed on by `diluted_by_ml` injected after it."""
    out = np.zeros((beam.matrix, beam.matrix))
    if volume_ml <= 0:
        return out
    # A droplet comes up gradually while the front passes, so that the edge is soft in time as well.
    reached = np.clip((volume_ml + _PUSHED_ON * diluted_by_ml - cloud.arrival_ml) / 0.12, 0.0, 1.0) * cloud.share
    weight = reached / max(float(reached.sum()), 1e-9)
    pixels = beam.pixels_of(cloud.places)
    _splat(out, pixels, weight * volume_ml * 1000.0 / beam.pixel_at_centre_mm() ** 2)
    blurred = blur(out, _BLUR_MM / beam.pixel_at_centre_mm())
    return np.asarray(blurred * CONTRAST_PER_MM, dtype=np.float64)


def blur(image: Array, sigma_px: float) -> Array:
    """Gaussian blur; the image's edge is repeated beyond it."""
    reach = max(1, math.ceil(3 * sigma_px))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    kernel /= kernel.sum()
    for _ in range(2):
        padded = np.pad(image, ((reach, reach), (0, 0)), mode="edge")
        rows = image.shape[0]
        image = sum((k * padded[i : i + rows] for i, k in enumerate(kernel)), np.zeros_like(image)).T
    return image


def _splat(out: Array, pixels: Array, weight: Array) -> None:
    row, column = np.rint(pixels).astype(int).T
    inside = (row >= 0) & (row < out.shape[0]) & (column >= 0) & (column < out.shape[1])
    np.add.at(out, (row[inside], column[inside]), weight[inside])


def _canal_axis() -> Array:
    """Middle of the spinal canal, every millimetre or so from tail to head, (n, 3)."""
    frames = spine_frames()
    knots = [frames["S1"].at(0, *place) for place in ((20, -48), (24, -20), (24, 0))]
    for vertebra in reversed(VERTEBRAE):
        knots.append(frames[vertebra.name].at(0, vertebra.radii_mm[1] * 1.12 + 8.5, 0))
    points = np.array(knots)
    distance = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    steps = np.arange(0.0, distance[-1])
    return np.stack([np.interp(steps, distance, points[:, i]) for i in range(3)], axis=1)


def _front_ml(along_mm: Array) -> Array:
    """Volume at which the front is `along_mm` from the needle (positive: towards the head)."""
    reach = np.where(along_mm >= 0, along_mm / _CEPHALAD_MM_PER_ML, -along_mm / _CAUDAD_MM_PER_ML)
    return np.asarray(reach ** (1 / _FRONT_POWER), dtype=np.float64)


def _canal_droplets(rng: np.random.Generator, axis: Array, start: float, count: int) -> tuple[Array, Array, Array]:
    along = rng.uniform(-start + 2, len(axis) - start - 2, size=count)
    # Angle about the canal, 0 = behind: dorsal first, the front of the dura hardly at all.
    angle = rng.normal(0, 0.9, size=count) * rng.choice([0.35, 1.0, 1.5], size=count)
    index = np.clip(start + along, 0, len(axis) - 1)
    middle = np.stack([np.interp(index, np.arange(len(axis)), axis[:, i]) for i in range(3)], axis=1)
    wall = rng.uniform(0.82, 1.0, size=count)
    # The edge is never straight: it swells between the pedicles and narrows beside them.
    swell = 1.0 + 0.16 * np.sin(along / 36.0 * 2 * math.pi + 0.6) + 0.06 * np.sin(along / 7.0)
    places = middle + np.stack(
        [
            np.sin(angle) * _CANAL_RADII_MM[0] * wall * swell,
            np.cos(angle) * _CANAL_RADII_MM[1] * wall,
            np.zeros(count),
        ],
        axis=1,
    )
    tongues = 0.5 * np.sin(angle * 2.3 + 1.1) + 0.35 * np.sin(angle * 5.1 + along / 19.0)
    arrival = _front_ml(along) * np.exp(0.45 * tongues) + 0.35 * np.abs(angle) + rng.gamma(1.5, 0.12, size=count)
    return along, arrival, places


def _root_droplets(rng: np.random.Generator, axis: Array, start: float, count: int) -> tuple[Array, Array]:
    """Along the root sleeves: out through the foramen under each pedicle, down and forward."""
    frames = spine_frames()
    names = [vertebra.name for vertebra in VERTEBRAE[1:]] + ["S1"]
    places = np.empty((count, 3))
    arrival = np.empty(count)
    ease = {(name, side): rng.uniform(0.5, 2.2) for name in names for side in (-1.0, 1.0)}
    for i in range(count):
        name, side = names[i % len(names)], (-1.0, 1.0)[i // len(names) % 2]
        t = rng.random() ** 1.3
        out = 10.0 + 19.0 * t
        # A sleeve shows as two lines around the unstained root.
        rim = rng.choice([-1.0, 1.0]) * (1.9 - 0.5 * t) + rng.normal(0, 0.35)
        place = frames[name].at(side * out, 22.0 - 9.0 * t, -3.0 - 15.0 * t + rim)
        places[i] = place
        origin = float(np.interp(place[2] + 10 * t, axis[:, 2], np.arange(len(axis), dtype=float))) - start
        arrival[i] = float(_front_ml(np.array([origin]))[0]) + 0.5 + ease[name, side] * 1.4 * t
    return places, arrival
