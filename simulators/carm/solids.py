"""Solids that X-rays pass through, and how long their paths inside are.

Rules of this file:
- Coordinates are millimetres in the patient: x to the patient's left, y to the back, z to the head (DICOM's LPS).
- A solid is one quadric cut by two parallel planes: ellipsoid, elliptic cylinder, or waisted like a vertebral
  body. Everything in the phantom is a sum of such solids, each with an attenuation that adds to what surrounds
  it; a cortical shell is an outer solid of dense bone and an inner one that takes the difference away again.
- Rays start at the focal spot: near things are magnified, as on a real C-arm.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A mobile C-arm with a 9 inch image intensifier; the patient's spine lies at the rotation centre.
SOURCE_TO_DETECTOR_MM = 1000.0
SOURCE_TO_CENTRE_MM = 650.0
FIELD_MM = 230.0

_PARALLEL = 1e-9  # a direction component below this is parallel to the plane: keeps the division finite


class Solid(NamedTuple):
    """One convex piece.

    `centre`: mm. `axes`: 3x3, columns are the solid's own axes in patient coordinates. `radii`: half lengths
    along them, mm. `shape`: `ellipsoid`, `cylinder` (along its third axis, flat ends) or `waisted` (a cylinder
    whose ends are `1 + WAIST` times as wide as its middle). `mu_per_mm`: attenuation added to the surroundings.
    """

    centre: Array
    axes: Array
    radii: tuple[float, float, float]
    shape: Literal["ellipsoid", "cylinder", "waisted"]
    mu_per_mm: float

    @property
    def reach_mm(self) -> float:
        """Radius of a ball that holds the whole solid."""
        a, b, c = self.radii
        if self.shape == "ellipsoid":
            return max(self.radii)
        rim = 1.0 + (WAIST if self.shape == "waisted" else 0.0)
        return math.hypot(max(a, b) * rim, c)


WAIST = 0.12  # lumbar bodies: the endplate is about an eighth wider than the waist


class Beam:
    """Rays from the focal spot to each pixel of a square detector.

    `primary_deg`, `secondary_deg`: DICOM positioner angles of the C-arm itself (0, 0: tube below the table).
    `centre_mm`: the point of the patient at the rotation centre.
    """

    def __init__(self, primary_deg: float, secondary_deg: float, centre_mm: Array, matrix: int) -> None:
        p, s = math.radians(primary_deg), math.radians(secondary_deg)
        towards = np.array([math.sin(p) * math.cos(s), math.cos(p) * math.cos(s), math.sin(s)])
        right = np.cross([0.0, 0.0, 1.0], towards)
        self.right = right / np.linalg.norm(right)
        self.down = np.cross(self.right, towards)
        self.towards = towards
        self.matrix = matrix
        self.pixel_mm = FIELD_MM / matrix
        self.source = centre_mm - SOURCE_TO_CENTRE_MM * towards

    def pixel_of(self, point_mm: Array) -> tuple[float, float]:
        """Row and column (fractional) at which `point_mm` is seen."""
        offset = point_mm - self.source
        scale = SOURCE_TO_DETECTOR_MM / float(offset @ self.towards) / self.pixel_mm
        middle = (self.matrix - 1) / 2
        return middle + float(offset @ self.down) * scale, middle + float(offset @ self.right) * scale

    def pixels_of(self, points_mm: Array) -> Array:
        """Rows and columns (n, 2) at which `points_mm` (n, 3) are seen."""
        offset = points_mm - self.source
        scale = SOURCE_TO_DETECTOR_MM / (offset @ self.towards) / self.pixel_mm
        middle = (self.matrix - 1) / 2
        return middle + np.stack([(offset @ self.down) * scale, (offset @ self.right) * scale], axis=1)

    def pixel_at_centre_mm(self) -> float:
        """Width of a pixel where the patient is."""
        return self.pixel_mm * SOURCE_TO_CENTRE_MM / SOURCE_TO_DETECTOR_MM

    def directions(self, rows: Array, columns: Array) -> Array:
        """Unit vectors (len(rows), len(columns), 3) from the focal spot."""
        middle = (self.matrix - 1) / 2
        v = ((rows - middle) * self.pixel_mm)[:, None, None] * self.down
        u = ((columns - middle) * self.pixel_mm)[None, :, None] * self.right
        rays: Array = SOURCE_TO_DETECTOR_MM * self.towards + v + u
        rays /= np.linalg.norm(rays, axis=2, keepdims=True)
        return rays


def add_line_integrals(total: Array, beam: Beam, solids: list[Solid], *, fine: int = 1) -> None:
    """Add each solid's attenuation along every ray to `total` (matrix, matrix).

    `fine`: rays per pixel and direction; more than one for solids as thin as a pixel.
    """
    for solid in solids:
        window = _window(beam, solid)
        if window is not None:
            rows, columns = window
            part = _path_mm(beam, solid, _subpixels(rows, fine), _subpixels(columns, fine))
            height, width = rows.stop - rows.start, columns.stop - columns.start
            part = part.reshape(height, fine, width, fine).mean(axis=(1, 3))
            total[rows, columns] += solid.mu_per_mm * part


def _window(beam: Beam, solid: Solid) -> tuple[slice, slice] | None:
    """The pixels that can see the solid."""
    row, column = beam.pixel_of(solid.centre)
    distance = float((solid.centre - beam.source) @ beam.towards)
    nearest = max(distance - solid.reach_mm, distance / 2)
    half = solid.reach_mm * SOURCE_TO_DETECTOR_MM / nearest / beam.pixel_mm * 1.05 + 1
    spans = [
        slice(max(0, math.floor(middle - half)), min(beam.matrix, math.ceil(middle + half) + 1))
        for middle in (row, column)
    ]
    if any(span.start >= span.stop for span in spans):
        return None
    return spans[0], spans[1]


def _subpixels(span: slice, fine: int) -> Array:
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    return (np.arange(span.start, span.stop)[:, None] + steps[None, :]).ravel()


def _path_mm(beam: Beam, solid: Solid, rows: Array, columns: Array) -> Array:
    """Length inside the solid of the rays to (rows x columns)."""
    rays = beam.directions(rows, columns)
    # Start each ray where it comes nearest to the solid: small numbers, so that thin solids do not cancel out.
    along = rays @ (solid.centre - beam.source)
    start = (beam.source - solid.centre + along[..., None] * rays) @ solid.axes
    d = rays @ solid.axes
    enter, leave = _quadric_interval(start, d, _form(solid))
    if solid.shape != "ellipsoid":
        slope = np.where(np.abs(d[..., 2]) < _PARALLEL, _PARALLEL, d[..., 2])
        first, second = (-solid.radii[2] - start[..., 2]) / slope, (solid.radii[2] - start[..., 2]) / slope
        enter = np.maximum(enter, np.minimum(first, second))
        leave = np.minimum(leave, np.maximum(first, second))
    return np.maximum(leave - enter, 0.0)


def _form(solid: Solid) -> Array:
    """Coefficients (fx, fy, fz) of fx x^2 + fy y^2 + fz z^2 <= 1."""
    a, b, c = solid.radii
    third = {"ellipsoid": 1.0, "cylinder": 0.0, "waisted": 1.0 - (1.0 + WAIST) ** 2}[solid.shape]
    return np.array([1 / a**2, 1 / b**2, third / c**2])


def _quadric_interval(start: Array, d: Array, form: Array) -> tuple[Array, Array]:
    square = np.maximum((d * d) @ form, _PARALLEL)
    mixed = (start * d) @ form
    rest = (start * start) @ form - 1.0
    root = mixed * mixed - square * rest
    half = np.sqrt(np.maximum(root, 0.0))
    enter, leave = (-mixed - half) / square, (-mixed + half) / square
    return enter, np.where(root > 0, leave, enter)
