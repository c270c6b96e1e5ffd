"""The C-arm as the people in the room use it: step on the pedal, keep an image, record a run.

Rules:
- `do` returns when the exposure is over and its object is queued; sending goes on behind it, in order.
- An object's dose covers all fluoroscopy since the object before it, as its header says.
- Its clock is its own (`clock_offset_s`, `drift_ppm`): nobody set it by the room's.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np

from simulators.carm.contrast import Pattern
from simulators.carm.headers import TRANSFER_SYNTAXES, Exposure, Identity, Kind, Study, Style, image
from simulators.carm.jobs import FIRST_RETRY_S, JobQueue
from simulators.carm.phantom import VIEWS, Phantom, Scene, Technique, View
from simulators.carm.scu import Job, NotStoredError, Scu
from simulators.clock import ScenarioClock
from simulators.truth import TruthLog

Action = Callable[..., Awaitable[None]]

# Of low-dose fluoroscopy at 75 kV, 3 mA; a case of some 20 s and a short run then gives the 226 to 350 cGy.cm2
# that are published for interlaminar injections.
DAP_DGY_CM2_PER_S = 0.8
KERMA_MGY_PER_DGY_CM2 = 0.096  # a field of 104 cm2 at the reference point, 15 cm before the rotation centre
RUN_DOSE_FACTOR = 2.5  # recorded runs are made at a higher dose (DSA multiplies it 2.3 to 4.3 times)
PULSE_MS = 10.0
BREATH_PERIOD_S = 4.6
_LONGEST_RUN = 240  # frames: half a minute at 8 a second; a frame is half a megabyte


class CArm:
    """An OEC 9900 that stores to a room at `to` (host, port).

    `transfer_syntax`: explicit, implicit, rle, jpeg_ls. `photometric`: MONOCHROME1 or MONOCHROME2.
    `matrix`: rows and columns of an image. `drift_ppm`: how much faster than UTC its clock runs.
    """

    def __init__(
        self,
        to: tuple[str, int],
        identity: Identity,
        clock: ScenarioClock,
        truth: TruthLog,
        *,
        seed: int,
        name: str = "carm",
        study: str = "Lumbar epidural injection",
        ae_title: str = "OEC_9900",
        called_ae_title: str = "ESI_ROOM",
        clock_offset_s: float = 0.0,
        drift_ppm: float = 0.0,
        matrix: int = 512,
        transfer_syntax: str = "explicit",
        photometric: str = "MONOCHROME2",
        frame_time_vector: bool = False,
        retry_s: float = FIRST_RETRY_S,
    ) -> None:
        if transfer_syntax not in TRANSFER_SYNTAXES:
            raise ValueError(f"transfer_syntax {transfer_syntax!r}: one of {', '.join(TRANSFER_SYNTAXES)}")
        if photometric not in ("MONOCHROME1", "MONOCHROME2"):
            raise ValueError(f"photometric {photometric!r}: MONOCHROME1 or MONOCHROME2")
        self.name, self.identity, self.clock, self.truth = name, identity, clock, truth
        self._style = Style(transfer_syntax, photometric, frame_time_vector)  # type: ignore[arg-type]
        self._offset_s, self._drift_ppm = clock_offset_s, drift_ppm
        self._started_s = time.monotonic()
        self._jitter = random.Random(seed)
        self._phantom = Phantom(seed, matrix=matrix)
        self._scu = Scu(*to, calling=ae_title, called=called_ae_title)
        self.queue = JobQueue(self._scu, self.note, first_retry_s=retry_s)
        self._study = Study.begin(self.device_now(), study)
        self._frames = self._objects = 0
        self._fluoro_s = self._unreported_dgy_cm2 = 0.0
        self._last: Job | None = None

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        await self.queue.run()

    async def do(self, action: str, **params: Any) -> None:
        """Do what a script asks. ValueError names what can be done."""
        method = self.ACTIONS.get(action)
        if method is None:
            raise ValueError(f"{self.name} cannot {action!r}; one of {', '.join(sorted(self.ACTIONS))}")
        await method(self, **params)

    async def shot(
        self,
        view: str = "ap",
        *,
        kv: float = 75.0,
        ma: float = 3.0,
        fluoro_s: float = 1.0,
        needle_depth_mm: float | None = None,
        contrast_ml: float = 0.0,
        injectate_ml: float = 0.0,
        contrast_age_s: float = 0.0,
        pattern: Pattern = "epidural",
        kind: Kind = "xrf",
        iris: float = 0.97,
        collimator: str = "ROUND",
        comment: str = "",
    ) -> None:
        """Fluoroscopy of `fluoro_s`, whose last image is kept."""
        technique = Technique(kv, ma, 4, iris, collimator)  # type: ignore[arg-type]
        scene = Scene(needle_depth_mm, contrast_ml, injectate_ml, contrast_age_s, pattern, self._breath())
        await self._expose(fluoro_s, technique, 1.0)
        frames = await asyncio.to_thread(self._render, _view(view), [scene], technique)
        await self._store(kind, _view(view), technique, [0.0], frames, comment or view)

    async def cine(
        self,
        view: str = "ap",
        *,
        frames: int = 24,
        fps: float = 8.0,
        kv: float = 77.0,
        ma: float = 5.0,
        needle_depth_mm: float | None = None,
        contrast_from_ml: float = 0.0,
        contrast_to_ml: float = 0.0,
        pattern: Pattern = "epidural",
        iris: float = 0.97,
        comment: str = "",
    ) -> None:
        """A recorded run while contrast is injected from one volume to another."""
        if not 1 <= frames <= _LONGEST_RUN or fps <= 0:
            raise ValueError(f"a run has 1 to {_LONGEST_RUN} frames at more than 0 frames a second")
        times = self._frame_times(frames, fps)
        share = np.linspace(0.0, 1.0, frames)
        volumes = contrast_from_ml + share * (contrast_to_ml - contrast_from_ml)
        technique = Technique(kv, ma, 1, iris)
        breath = [self._breath(ms / 1000) for ms in times]
        scenes = [
            Scene(needle_depth_mm, float(volume), pattern=pattern, breath=at)
            for volume, at in zip(volumes, breath, strict=True)
        ]
        taken = self.device_now()
        await self._expose(frames / fps, technique, RUN_DOSE_FACTOR)
        pixels = await asyncio.to_thread(self._render, _view(view), scenes, technique)
        await self._store("xa", _view(view), technique, times, pixels, comment or f"{view} run", taken)

    async def fluoro(self, fluoro_s: float, *, kv: float = 75.0, ma: float = 3.0) -> None:
        """Fluoroscopy of which nothing is kept; its dose is in the next object's header."""
        await self._expose(fluoro_s, Technique(kv, ma), 1.0)

    async def echo(self) -> None:
        """Ask whether the room is there (C-ECHO)."""
        await self._echo(None)

    async def wrong_ae(self, calling: str = "STRANGER") -> None:
        """Knock under an AE title that the room does not know."""
        await self._echo(calling)

    async def abort_mid_object(self) -> None:
        """The next object's association breaks in the middle of it; the object is sent again after that."""
        self.queue.abort_next()
        self.note("abort_mid_object_armed")

    async def resend(self) -> None:
        """Send the last object once more: same UID, same content."""
        self._queue(self._last_object())

    async def same_uid_other_content(self) -> None:
        """Send another object under the last object's UID."""
        dataset = deepcopy(self._last_object().dataset)
        dataset.ImageComments = f"{dataset.ImageComments} (changed)"
        self._queue(Job.of(dataset))

    async def set_clock(self, offset_s: float) -> None:
        """Somebody sets the C-arm's clock: `offset_s` ahead of UTC from now on."""
        self._offset_s, self._started_s = offset_s, time.monotonic()
        self.note("clock_set", clock_offset_s=offset_s)

    def note(self, what: str, **fields: Any) -> None:
        """Write to the truth log."""
        self.truth.note(self.name, what, t_s=self.clock.now_s(), **fields)

    def device_now(self) -> datetime:
        """The C-arm's own clock: UTC plus its offset, without a zone, as its console shows it."""
        drift_s = (time.monotonic() - self._started_s) * self._drift_ppm / 1e6
        utc = datetime.fromtimestamp(time.time(), UTC).replace(tzinfo=None)
        return utc + timedelta(seconds=self._offset_s + drift_s)

    def _breath(self, later_s: float = 0.0) -> float:
        return math.sin(2 * math.pi * (self.clock.now_s() + later_s) / BREATH_PERIOD_S)

    def _frame_times(self, frames: int, fps: float) -> list[float]:
        """Milliseconds; a real run's frames are a fraction of a millisecond off."""
        even = [1000.0 * i / fps for i in range(frames)]
        return [round(ms + self._jitter.uniform(0, 0.4), 3) if ms else 0.0 for ms in even]

    def _render(self, view: View, scenes: list[Scene], technique: Technique) -> np.typing.NDArray[np.uint16]:
        first = self._frames
        self._frames += len(scenes)
        return np.stack([self._phantom.frame(view, s, technique, first + i) for i, s in enumerate(scenes)])

    async def _expose(self, fluoro_s: float, technique: Technique, factor: float) -> None:
        self.note("beam_on", kv=technique.kv, ma=technique.ma, fluoro_s=fluoro_s)
        await self.clock.sleep(fluoro_s)
        open_area = min(technique.iris, 1.0) ** 2
        strength = (technique.kv / 75.0) ** 2 * technique.ma / 3.0 * open_area * factor
        self._fluoro_s += fluoro_s
        self._unreported_dgy_cm2 += DAP_DGY_CM2_PER_S * strength * fluoro_s
        self.note("beam_off", fluoro_total_s=round(self._fluoro_s, 3))

    async def _store(
        self,
        kind: Kind,
        view: View,
        technique: Technique,
        times_ms: list[float],
        frames: np.typing.NDArray[np.uint16],
        comment: str,
        taken: datetime | None = None,
    ) -> None:
        self._objects += 1
        dose, self._unreported_dgy_cm2 = self._unreported_dgy_cm2, 0.0
        exposure = Exposure(
            kind, self._objects, taken or self.device_now(), view, technique, PULSE_MS, times_ms,
            dose, dose * KERMA_MGY_PER_DGY_CM2, self._fluoro_s, self._objects, comment,
        )  # fmt: skip
        dataset = await asyncio.to_thread(image, exposure, frames, self.identity, self._study, self._style)
        self._queue(Job.of(dataset))

    def _queue(self, job: Job) -> None:
        self._last = job
        self.note("queued", sop_instance_uid=job.uid, dataset_sha256=job.sha256, waiting=len(self.queue) + 1)
        self.queue.put(job)

    def _last_object(self) -> Job:
        if self._last is None:
            raise ValueError(f"{self.name} has taken no image yet")
        return self._last

    async def _echo(self, calling: str | None) -> None:
        try:
            await asyncio.to_thread(self._scu.echo, TRANSFER_SYNTAXES["implicit"], calling=calling)
        except NotStoredError as error:
            self.note("c_echo", ok=False, reason=str(error), calling=calling or self._scu.calling)
        else:
            self.note("c_echo", ok=True, calling=calling or self._scu.calling)

    ACTIONS: ClassVar[Mapping[str, Action]] = {
        "shot": shot,
        "run": cine,
        "fluoro": fluoro,
        "echo": echo,
        "wrong_ae": wrong_ae,
        "abort_mid_object": abort_mid_object,
        "resend": resend,
        "same_uid_other_content": same_uid_other_content,
        "set_clock": set_clock,
    }


def _view(name: str) -> View:
    if name not in VIEWS:
        raise ValueError(f"no view {name!r}; one of {', '.join(VIEWS)}")
    return VIEWS[name]
