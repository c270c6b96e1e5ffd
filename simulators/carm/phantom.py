"""Fluoroscopy of a lumbar spine with a needle and contrast: from a view and a technique to pixels.

Rules of this file:
- Beer-Lambert along every ray, then what a detector does to it: scatter, quantum noise that falls with dose,
  a little blur; then what a C-arm's processing does: logarithm, dynamic range compression, edge enhancement.
- Displayed as interventional fluoroscopy is: bone darker than soft tissue, needle and contrast darkest.
- Bones and soft tissue of a view are cast once and kept; a frame only adds what moved.
- Same seed, same view, same frame number: same pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.carm import contrast
from simulators.carm.anatomy import (
    CORTICAL_PER_MM,
    TISSUE_PER_MM,
    bowel_gas,
    soft_tissue,
    spine,
    spine_frames,
)
from simulators.carm.anatomy import TRUNK_RADII_MM as TRUNK_MM
from simulators.carm.solids import FIELD_MM, Array, Beam, Solid, add_line_integrals

BITS_STORED = 12
WHITE = 2**BITS_STORED - 1

NEEDLE_LENGTH_MM = 90.0  # 3.5 inch
NEEDLE_RADIUS_MM = 0.36  # 22 gauge: 0.72 mm outside
STEEL_PER_MM = 1.8
_NEEDLE_PIECES = 9  # short pieces have small windows: a needle across the image stays cheap

# Detected quanta per pixel behind the reference thickness at 75 kV, 3 mA: about 2 % noise, a low-dose mode.
_QUANTA = 2200.0
_AUTOMATIC_FIELD = 0.5  # automatic exposure looks at the middle of the image: this share of its width
_SCATTER_SHARE = 0.35
_GREY_PER_LOG = 1250.0
_MID_GREY = 2050.0
_COMPRESSION = 0.5  # share of the slow brightness changes taken out, as the C-arm's processing does
_ENHANCEMENT = 0.7
_SHOULDER = 0.9
_SATURATION = 40.0  # times the mean exposure: the detector is full in the open beam
_VIEWS_KEPT = 6
_FOCAL_SPOT_MM = 0.3  # blur of bone edges, at the patient


Target = Literal["interlaminar", "foramen", "sacral_canal"]


class View(NamedTuple):
    """Where the C-arm stands. Angles as DICOM positioner angles of the C-arm itself, degrees; centre in mm."""

    primary_deg: float
    secondary_deg: float = 0.0
    centre_mm: tuple[float, float, float] = (0.0, 30.0, 0.0)


VIEWS = {
    "ap": View(0.0, 8.0),
    "oblique": View(28.0, -4.0),
    "oblique_right": View(-28.0, -4.0),
    "lateral": View(90.0, 0.0),
}


CENTRE_MM: dict[Target, tuple[float, float, float]] = {"sacral_canal": (0.0, 44.0, -68.0)}
"""Where the C-arm is moved to for a target that is not in the middle of VIEWS."""


class Scene(NamedTuple):
    """What is in the patient at this moment. `breath`: -1 (expired) to 1 (inspired)."""

    needle_depth_mm: float | None = None
    contrast_ml: float = 0.0
    injectate_ml: float = 0.0
    contrast_age_s: float = 0.0
    pattern: contrast.Pattern = "epidural"
    breath: float = 0.0


class Technique(NamedTuple):
    """`kv`, `ma`: as on the console. `averaged`: frames averaged into one (last image hold). `iris`: open share."""

    kv: float = 75.0
    ma: float = 3.0
    averaged: int = 4
    iris: float = 0.97
    collimator: Literal["ROUND", "RECTANGULAR"] = "ROUND"


def skin_to_target_mm(target: Target = "interlaminar") -> float:
    """Needle depth at which its tip is where it should be."""
    entry, tip = needle_path(target)
    return float(np.linalg.norm(tip - entry))


def needle_path(target: Target = "interlaminar") -> tuple[Array, Array]:
    """Entry at the skin, and where the tip is to be."""
    tip, away = _AIMS[target]()
    away /= np.linalg.norm(away)
    a, b = TRUNK_MM
    form = np.array([1 / a**2, 1 / b**2])
    square = float((away[:2] ** 2) @ form)
    mixed = float((tip[:2] * away[:2]) @ form)
    rest = float((tip[:2] ** 2) @ form) - 1.0
    distance = (-mixed + math.sqrt(mixed * mixed - square * rest)) / square
    return tip + away * distance, tip


def _interlaminar() -> tuple[Array, Array]:
    """The back of the canal at L4/5, in the interlaminar window, a little paramedian; up from below, as it opens."""
    frames = spine_frames()
    middle = (frames["L4"].at(0, 0, -19) + frames["L5"].at(0, 0, 19)) / 2
    return middle + np.array([-1.5, 34.5, -5.0]), np.array([-0.10, 0.93, -0.35])


def _foramen() -> tuple[Array, Array]:
    """Under the left pedicle of L5, down the beam of the oblique view."""
    view = VIEWS["oblique"]
    across, along = math.radians(view.primary_deg), math.radians(view.secondary_deg)
    away = np.array([math.sin(across), math.cos(across), math.sin(along)])
    return spine_frames()["L5"].at(16.0, 20.0, -8.0), away


def _sacral_canal() -> tuple[Array, Array]:
    """Behind S2, from the hiatus upwards."""
    sacrum = spine_frames()["S1"]
    return sacrum.at(0.0, 20.0, -45.0), sacrum.axes @ np.array([0.0, 0.3, -0.95])


_AIMS: Mapping[Target, Callable[[], tuple[Array, Array]]] = {
    "interlaminar": _interlaminar,
    "foramen": _foramen,
    "sacral_canal": _sacral_canal,
}
"""Where the tip is to be, and the direction from there to the skin."""


class Phantom:
    """One patient under one C-arm, and a needle on its way to `target`."""

    def __init__(self, seed: int, *, matrix: int = 512, target: Target = "interlaminar") -> None:
        self._seed, self.matrix, self._target = seed, matrix, target
        rng = np.random.default_rng([seed, 1])
        self._bones, self._tissue, self._gas = spine(), soft_tissue(), bowel_gas(rng)
        _, tip = needle_path(target)
        self._clouds = {
            "epidural": contrast.epidural_cloud(np.random.default_rng([seed, 2]), tip),
            "vascular": contrast.vascular_cloud(np.random.default_rng([seed, 3]), tip),
        }
        self._kept: dict[View, tuple[Array, Array, float]] = {}

    def frame(self, view: View, scene: Scene, technique: Technique, number: int) -> NDArray[np.uint16]:
        """Frame `number` (it seeds the noise): (matrix, matrix), 12 bits used, bone dark (MONOCHROME2)."""
        rng = np.random.default_rng([self._seed, 4, number])
        log, reference = self._line_integrals(view, scene)
        detected = self._detect(np.exp(reference - log), technique, rng)
        return _process(detected, self._mask(technique))

    def _line_integrals(self, view: View, scene: Scene) -> tuple[Array, float]:
        still, moving, reference = self._background(view)
        beam = self._beam(view)
        # Breathing moves the back by a millimetre or two and the bowel by several.
        log: Array = _shifted(still, 1.2 * scene.breath / beam.pixel_at_centre_mm())
        log += _shifted(moving, 7.0 * scene.breath / beam.pixel_at_centre_mm())
        if scene.needle_depth_mm is not None:
            add_line_integrals(log, beam, needle(scene.needle_depth_mm, self._target), fine=3)
        fade = contrast.EPIDURAL_FADE_S if scene.pattern == "epidural" else contrast.VASCULAR_FADE_S
        shown = contrast.line_integrals(
            beam, self._clouds[scene.pattern], scene.contrast_ml, diluted_by_ml=scene.injectate_ml
        )
        log += shown * math.exp(-scene.contrast_age_s / fade)
        return log, reference

    def _beam(self, view: View) -> Beam:
        return Beam(view.primary_deg, view.secondary_deg, np.array(view.centre_mm), self.matrix)

    def _background(self, view: View) -> tuple[Array, Array, float]:
        """Bones and tissue, bowel gas, and the attenuation to which automatic exposure adapts."""
        if view not in self._kept:
            beam = self._beam(view)
            bones = np.zeros((self.matrix, self.matrix))
            add_line_integrals(bones, beam, self._bones)
            still = np.zeros_like(bones)
            add_line_integrals(still, beam, self._tissue)
            moving = np.zeros_like(bones)
            add_line_integrals(moving, beam, self._gas)
            bones = contrast.blur(bones, _FOCAL_SPOT_MM / beam.pixel_at_centre_mm())
            still += bones * self._trabeculae(bones.shape) + 0.03 * self._texture(bones.shape, 16.0, 6)
            if len(self._kept) >= _VIEWS_KEPT:
                del self._kept[next(iter(self._kept))]
            moving = contrast.blur(moving, 1.5 / beam.pixel_at_centre_mm())
            edge = round(self.matrix * (1 - _AUTOMATIC_FIELD) / 2)
            middle = (still + moving)[edge:-edge, edge:-edge]
            self._kept[view] = still, moving, float(np.median(middle))
        return self._kept[view]

    def _trabeculae(self, shape: tuple[int, ...]) -> Array:
        """Cancellous bone is uneven: a few per cent about 1."""
        return 1.0 + 0.06 * self._texture(shape, 1.6, 7) + 0.07 * self._texture(shape, 6.0, 8)

    def _texture(self, shape: tuple[int, ...], sigma_px: float, stream: int) -> Array:
        rough = np.random.default_rng([self._seed, stream]).normal(size=shape)
        smooth = contrast.blur(rough, sigma_px * self.matrix / 512)
        return np.asarray(smooth / smooth.std(), dtype=np.float64)

    def _detect(self, exposure: Array, technique: Technique, rng: np.random.Generator) -> Array:
        """Quanta relative to the reference exposure, with scatter and noise."""
        exposure = exposure * (1 - _SCATTER_SHARE) + _SCATTER_SHARE * _slow(exposure, 16, 3.0)
        quanta = _QUANTA * (technique.kv / 75.0) ** 3 * technique.ma / 3.0 * technique.averaged / 4.0
        quanta *= (512 / self.matrix) ** 2
        mean = np.minimum(exposure, _SATURATION) * quanta
        noisy = rng.normal(mean, np.sqrt(np.maximum(mean, 1.0)))
        return contrast.blur(np.maximum(noisy, 1.0) / quanta, 0.65 * self.matrix / 512)

    def _mask(self, technique: Technique) -> Array:
        """1 inside the collimated field, 0 outside, with the penumbra between."""
        axis = (np.arange(self.matrix) - (self.matrix - 1) / 2) / (self.matrix / 2)
        y, x = np.abs(axis[:, None]), np.abs(axis[None, :])
        distance = np.hypot(x, y)
        if technique.collimator == "RECTANGULAR":
            distance = np.maximum(distance / 0.99 * technique.iris, np.maximum(x, y))
        return np.asarray(np.clip((technique.iris - distance) / 0.012 + 0.5, 0.0, 1.0), dtype=np.float64)


def needle(depth_mm: float, target: Target = "interlaminar") -> list[Solid]:
    """A needle whose tip is `depth_mm` under the skin on its way to the target, with its hub."""
    entry, aim = needle_path(target)
    along = (aim - entry) / np.linalg.norm(aim - entry)
    tip = entry + along * depth_mm
    side = np.cross(along, [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    axes = np.stack([np.cross(side, along), side, along], axis=1)
    half = NEEDLE_LENGTH_MM / _NEEDLE_PIECES / 2
    pieces = [
        Solid(
            tip - along * half * (2 * i + 1),
            axes,
            (NEEDLE_RADIUS_MM, NEEDLE_RADIUS_MM, half),
            "cylinder",
            STEEL_PER_MM,
        )
        for i in range(_NEEDLE_PIECES)
    ]
    hub = tip - along * (NEEDLE_LENGTH_MM + 8.0)
    pieces.append(Solid(hub, axes, (3.2, 3.2, 9.0), "cylinder", TISSUE_PER_MM))
    pieces.append(Solid(hub - along * 8.0, axes, (4.6, 4.6, 1.2), "cylinder", CORTICAL_PER_MM))
    return pieces


def _shifted(image: Array, rows: float) -> Array:
    """Moved down by a fraction of rows, the edge repeated."""
    whole = math.floor(rows)
    part = rows - whole
    index = np.clip(np.arange(image.shape[0]) - whole, 0, image.shape[0] - 1)
    before = np.clip(index - 1, 0, image.shape[0] - 1)
    return np.asarray(image[index] * (1 - part) + image[before] * part, dtype=np.float64)


def _slow(image: Array, step: int, sigma: float) -> Array:
    """Only the slow changes of brightness: averaged over blocks, blurred, and back to full size."""
    size = image.shape[0]
    blocks = math.ceil(size / step)
    padded = np.pad(image, ((0, blocks * step - size),) * 2, mode="edge")
    small = contrast.blur(padded.reshape(blocks, step, blocks, step).mean(axis=(1, 3)), sigma)
    at = (np.arange(size) + 0.5) / step - 0.5
    rows = np.stack([np.interp(at, np.arange(blocks), column) for column in small.T], axis=1)
    return np.stack([np.interp(at, np.arange(blocks), row) for row in rows], axis=0)


def _process(detected: Array, mask: Array) -> NDArray[np.uint16]:
    """Detector signal to display values."""
    log = np.log(np.maximum(detected, 1e-3))
    base = _slow(log, 16, 5.0)
    detail = log - base
    detail += _ENHANCEMENT * (log - contrast.blur(log, 3.0 * log.shape[0] / 512))
    # The bright end is bent over, so that the thin tissue of the back is not burnt out and a needle in it shows.
    base = (1 - _COMPRESSION) * base
    base = np.where(base > 0, _SHOULDER * (1 - np.exp(-np.maximum(base, 0) / _SHOULDER)), base)
    grey = _MID_GREY + _GREY_PER_LOG * (base + detail)
    inside = np.clip(grey, 60, WHITE)
    return np.rint(20 + (inside - 20) * mask).astype(np.uint16)


def pixel_spacing_mm(matrix: int) -> float:
    """At the detector (DICOM Imager Pixel Spacing)."""
    return FIELD_MM / matrix
