"""What somebody who looks at the images would notice."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.carm.phantom import (
    CENTRE_MM,
    VIEWS,
    WHITE,
    Phantom,
    Scene,
    Target,
    Technique,
    View,
    needle_path,
    skin_to_target_mm,
)
from simulators.carm.solids import Beam

QUIET = Technique(averaged=4000)  # hardly any noise: differences are the scene's


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return Phantom(7, matrix=256)


def shown(phantom: Phantom, view: str, scene: Scene, technique: Technique = QUIET) -> NDArray[np.float64]:
    return phantom.frame(VIEWS[view], scene, technique, 0).astype(np.float64)


def darker(before: NDArray[np.float64], after: NDArray[np.float64], by: float = 150.0) -> NDArray[np.bool_]:
    return before - after > by


def beam(view: View) -> Beam:
    return Beam(view.primary_deg, view.secondary_deg, np.array(view.centre_mm), 256)


@pytest.mark.parametrize("view", ["ap", "lateral", "oblique"])
def test_twelve_bits_and_a_dark_frame_around_a_lit_field(phantom: Phantom, view: str) -> None:
    pixels = phantom.frame(VIEWS[view], Scene(), Technique(), 0)
    assert pixels.dtype == np.uint16 and pixels.max() <= WHITE
    assert pixels[:12, :12].max() < 100
    assert 800 < np.median(pixels[80:176, 80:176]) < 3000


def test_views_differ(phantom: Phantom) -> None:
    ap, lateral, oblique = (shown(phantom, view, Scene()) for view in ("ap", "lateral", "oblique"))
    for one, other in ((ap, lateral), (ap, oblique), (lateral, oblique)):
        assert np.mean(np.abs(one - other)) > 100


def test_bone_is_darker_than_disc_space_and_soft_tissue(phantom: Phantom) -> None:
    lateral = shown(phantom, "lateral", Scene())
    b = beam(VIEWS["lateral"])
    body, disc = (b.pixel_of(np.array([0.0, y, z])) for y, z in ((8.0, 20.0), (10.0, 0.5)))
    dark, bright = (lateral[round(r) - 2 : round(r) + 3, round(c) - 2 : round(c) + 3].mean() for r, c in (body, disc))
    assert dark < bright - 200


def test_the_needle_is_dark_along_its_path_and_nowhere_else(phantom: Phantom) -> None:
    entry, target = needle_path()
    depth_mm = skin_to_target_mm()
    changed = darker(shown(phantom, "lateral", Scene()), shown(phantom, "lateral", Scene(needle_depth_mm=depth_mm)))
    b = beam(VIEWS["lateral"])
    rows, columns = b.pixels_of(np.linspace(entry, target, 60)[20:]).T
    assert changed[np.rint(rows).astype(int), np.rint(columns).astype(int)].mean() > 0.9
    line = b.pixels_of(np.linspace(target, target + (entry - target) * 2, 500))
    found = np.argwhere(changed)
    away = np.min(np.linalg.norm(found[:, None, :] - line[None, :, :], axis=2), axis=1)
    assert away.max() < 12  # the hub is that wide


def test_the_needle_grows_with_depth(phantom: Phantom) -> None:
    without = shown(phantom, "lateral", Scene())
    _, target = needle_path()
    row, column = beam(VIEWS["lateral"]).pixel_of(target)
    nearest = []
    for depth_mm in (25.0, 40.0, 55.0, skin_to_target_mm()):
        found = np.argwhere(darker(without, shown(phantom, "lateral", Scene(needle_depth_mm=depth_mm))))
        nearest.append(np.min(np.hypot(found[:, 0] - row, found[:, 1] - column)))
    assert nearest == sorted(nearest, reverse=True)
    assert nearest[-1] < 3 and nearest[0] > 40


@pytest.mark.parametrize(
    ("target", "view", "length_mm"),
    [("foramen", "oblique", (0, 6)), ("foramen", "ap", (30, 80)), ("sacral_canal", "ap", (50, 80))],
)
def test_the_needle_goes_to_other_places_too(target: Target, view: str, length_mm: tuple[float, float]) -> None:
    """In the oblique view it goes to the foramen down the beam: a dot."""
    phantom, turned = Phantom(7, matrix=256, target=target), VIEWS[view]
    turned = turned._replace(centre_mm=CENTRE_MM.get(target, turned.centre_mm))
    scene = Scene(needle_depth_mm=skin_to_target_mm(target))
    frames = [phantom.frame(turned, seen, QUIET, 0).astype(np.float64) for seen in (Scene(), scene)]
    _, tip = needle_path(target)
    pixels = np.argwhere(darker(*frames))
    far = np.hypot(*(pixels - np.array(beam(turned).pixel_of(tip))).T) * 0.58  # mm a pixel, at the patient
    assert far.min() < 2 and length_mm[0] <= far.max() <= length_mm[1]


def test_contrast_darkens_and_spreads_to_the_head_and_to_the_tail(phantom: Phantom) -> None:
    without = shown(phantom, "ap", Scene())
    reach = []
    for volume_ml in (0.3, 1.0, 2.5):
        stained = darker(without, shown(phantom, "ap", Scene(contrast_ml=volume_ml)), by=60)
        rows = np.flatnonzero(stained.any(axis=1))
        reach.append((stained.sum(), rows.min(), rows.max()))
    areas, tops, bottoms = zip(*reach, strict=True)
    assert list(areas) == sorted(areas) and areas[-1] > 3 * areas[0]
    assert list(tops) == sorted(tops, reverse=True) and list(bottoms) == sorted(bottoms)


def test_contrast_fades_and_a_vein_is_washed_out_at_once(phantom: Phantom) -> None:
    without = shown(phantom, "ap", Scene())

    def stain(**scene: object) -> float:
        return float(np.maximum(without - shown(phantom, "ap", Scene(contrast_ml=1.0, **scene)), 0).sum())  # type: ignore[arg-type]

    assert stain(contrast_age_s=600.0) < 0.7 * stain() < stain()
    assert stain(contrast_age_s=10.0) > 0.9 * stain()
    assert stain(pattern="vascular", contrast_age_s=10.0) < 0.1 * stain(pattern="vascular")


def test_the_breath_moves_the_picture(phantom: Phantom) -> None:
    assert np.mean(np.abs(shown(phantom, "ap", Scene(breath=-1.0)) - shown(phantom, "ap", Scene(breath=1.0)))) > 5


def test_more_dose_less_noise(phantom: Phantom) -> None:
    def noise(ma: float) -> float:
        frames = [phantom.frame(VIEWS["ap"], Scene(), Technique(ma=ma, averaged=1), n) for n in (1, 2)]
        return float(np.std((frames[0].astype(float) - frames[1])[80:176, 80:176]))

    assert noise(1.0) > 1.5 * noise(4.0) > 10


def test_the_collimator_closes(phantom: Phantom) -> None:
    wide, narrow = (shown(phantom, "ap", Scene(), QUIET._replace(iris=iris)) for iris in (0.97, 0.5))
    assert (narrow > 100).sum() < 0.35 * (wide > 100).sum()
    square = shown(phantom, "ap", Scene(), QUIET._replace(iris=0.5, collimator="RECTANGULAR"))
    assert (square > 100).sum() > 1.15 * (narrow > 100).sum()


def test_same_seed_same_pixels() -> None:
    scene = Scene(needle_depth_mm=50.0, contrast_ml=1.0)
    one, same, other = (Phantom(s, matrix=128).frame(VIEWS["ap"], scene, Technique(), 3) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_finer_matrix_shows_the_same() -> None:
    coarse = Phantom(1, matrix=128).frame(VIEWS["ap"], Scene(), QUIET, 0).astype(float)
    fine = Phantom(1, matrix=256).frame(VIEWS["ap"], Scene(), QUIET, 0).astype(float)
    binned = fine.reshape(128, 2, 128, 2).mean(axis=(1, 3))
    assert np.corrcoef(coarse.ravel(), binned.ravel())[0, 1] > 0.97
