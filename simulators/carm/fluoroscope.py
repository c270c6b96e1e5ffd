"""The X-ray side of the C-arm: step on the pedal, keep an image, record a run. What is kept goes to `_keep`.

Rules of this file:
- Every press of the pedal is an irradiation event of the open case; the first one opens a case if nobody did.
- An object's dose covers all fluoroscopy since the object before it, as its header says.
- Its clock is its own (`clock_offset_s`, `drift_ppm`): nobody set it by the room's.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import numpy as np
from pydicom.dataset import Dataset

from simulators.carm.case import Case, Event, Identity, Study, Totals, new_uid
from simulators.carm.contrast import Pattern
from simulators.carm.encoders import TRANSFER_SYNTAXES
from simulators.carm.headers import Exposure, Kind, Style, image
from simulators.carm.phantom import CENTRE_MM, VIEWS, Phantom, Scene, Target, Technique, View
from simulators.clock import ScenarioClock
from simulators.truth import TruthLog

Action = Callable[..., Awaitable[None]]

# Of low-dose fluoroscopy at 75 kV, 3 mA; a case of some 20 s and a short run then gives the 226 to 350 cGy.cm2
# that are published for interlaminar injections.
DAP_DGY_CM2_PER_S = 0.8
KERMA_MGY_PER_DGY_CM2 = 0.096  # a field of 104 cm2 at the reference point, 15 cm before the rotation centre
RUN_DOSE_FACTOR = 2.5  # recorded runs are made at a higher dose (DSA multiplies it 2.3 to 4.3 times)
# What automatic exposure makes of an adult: through the side there is more of them.
AUTOMATIC_KV_MA = {"lateral": (88.0, 3.6)}
OTHERWISE_KV_MA = (75.0, 3.0)
PULSE_MS = 10.0
FLUORO_PULSES_PER_S = 8.0
BREATH_PERIOD_S = 4.6
_LONGEST_RUN = 240  # frames: half a minute at 8 a second; a frame is half a megabyte


class Fluoroscope:
    """Makes images of one patient after the other.

    `transfer_syntax`: a key of TRANSFER_SYNTAXES. `photometric`: MONOCHROME1 or MONOCHROME2. `matrix`: rows and
    columns of an image. `drift_ppm`: how much faster than UTC its clock runs. `target`: where the needle goes.
    """

    def __init__(
        self,
        identity: Identity,
        clock: ScenarioClock,
        truth: TruthLog,
        *,
        seed: int,
        name: str = "carm",
        study: str = "Lumbar epidural injection",
        clock_offset_s: float = 0.0,
        drift_ppm: float = 0.0,
        matrix: int = 512,
        transfer_syntax: str = "explicit",
        photometric: str = "MONOCHROME2",
        frame_time_vector: bool = False,
        target: Target = "interlaminar",
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
        self._phantom = Phantom(seed, matrix=matrix, target=target)
        self._centre_mm = CENTRE_MM.get(target)
        self._procedure = study
        self._frames = 0
        self._view = VIEWS["ap"]
        self._open: Case | None = None
        self._disguise: tuple[Identity, int] | None = None
        """Under which identity the next so many objects leave."""

    async def do(self, action: str, /, **params: Any) -> None:
        """Do what a script asks. ValueError names what can be done."""
        method = self.ACTIONS.get(action)
        if method is None:
            raise ValueError(f"{self.name} cannot {action!r}; one of {', '.join(sorted(self.ACTIONS))}")
        await method(self, **params)

    async def shot(
        self,
        view: str = "ap",
        *,
        kv: float | None = None,
        ma: float | None = None,
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
        """Fluoroscopy of `fluoro_s`, whose last image is kept. `kv`, `ma`: where automatic exposure is overruled."""
        automatic_kv, automatic_ma = AUTOMATIC_KV_MA.get(view, OTHERWISE_KV_MA)
        technique = Technique(kv or automatic_kv, ma or automatic_ma, 4, iris, collimator)  # type: ignore[arg-type]
        scene = Scene(needle_depth_mm, contrast_ml, injectate_ml, contrast_age_s, pattern, self._breath())
        self._view = self._seen(view)
        await self._expose(fluoro_s, technique, FLUORO_PULSES_PER_S)
        frames = await asyncio.to_thread(self._render, self._view, [scene], technique)
        await self._store(kind, technique, [0.0], frames, comment or view)

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
        kind: Literal["xa", "enhanced_xa"] = "xa",
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
        self._view = self._seen(view)
        taken = self.device_now()
        await self._expose(frames / fps, technique, fps, recorded=True)
        pixels = await asyncio.to_thread(self._render, self._view, scenes, technique)
        # By its own clock, which is no faster than real time: or a run of a case that is played at ten times the speed
        # would end after it was sent.
        told = [round(ms / self.clock.speed, 3) for ms in times]
        await self._store(kind, technique, told, pixels, comment or f"{view} run", taken)

    async def fluoro(self, fluoro_s: float, *, kv: float = 75.0, ma: float = 3.0) -> None:
        """Fluoroscopy of which nothing is kept; its dose is in the next object's header."""
        await self._expose(fluoro_s, Technique(kv, ma), FLUORO_PULSES_PER_S)

    async def set_clock(self, offset_s: float) -> None:
        """Somebody sets the C-arm's clock: `offset_s` ahead of UTC from now on."""
        self._offset_s, self._started_s = offset_s, time.monotonic()
        self.note("clock_set", clock_offset_s=offset_s)

    async def wrong_patient(
        self, name: str = "SIMULATED^SOMEBODY^ELSE", patient_id: str = "SIM-9999", *, objects: int = 1
    ) -> None:
        """The next `objects` images leave under another identity: the patient before was never closed."""
        self._disguise = Identity(name, patient_id), objects
        self.note("wrong_patient_armed", objects=objects)

    def note(self, what: str, **fields: Any) -> None:
        """Write to the truth log."""
        self.truth.note(self.name, what, t_s=self.clock.now_s(), **fields)

    def device_now(self) -> datetime:
        """The C-arm's own clock: UTC plus its offset, without a zone, as its console shows it."""
        drift_s = (time.monotonic() - self._started_s) * self._drift_ppm / 1e6
        utc = datetime.fromtimestamp(time.time(), UTC).replace(tzinfo=None)
        return utc + timedelta(seconds=self._offset_s + drift_s)

    def _case(self) -> Case:
        """The open case; without one, a new one for whoever is typed in."""
        if self._open is None:
            self._open = Case(self.identity, Study.begin(self.device_now(), self._procedure))
        return self._open

    def _seen(self, name: str) -> View:
        """The view of that name, of what is treated."""
        if name not in VIEWS:
            raise ValueError(f"no view {name!r}; one of {', '.join(VIEWS)}")
        view = VIEWS[name]
        return view if self._centre_mm is None else view._replace(centre_mm=self._centre_mm)

    def _begin_exposure(self) -> None:
        """The pedal goes down; a hook for what the C-arm does at the first exposure."""

    def _keep(self, dataset: Dataset, event_uids: tuple[str, ...]) -> None:
        """An image was made of these irradiation events."""
        raise NotImplementedError

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

    async def _expose(
        self, beam_s: float, technique: Technique, pulses_per_s: float, *, recorded: bool = False
    ) -> None:
        case, started = self._case(), self.device_now()
        self._begin_exposure()
        self.note("beam_on", kv=technique.kv, ma=technique.ma, fluoro_s=beam_s, recorded=recorded)
        await self.clock.sleep(beam_s)
        open_area = min(technique.iris, 1.0) ** 2
        strength = (technique.kv / 75.0) ** 2 * technique.ma / 3.0 * open_area * (RUN_DOSE_FACTOR if recorded else 1.0)
        dose_dgy_cm2 = DAP_DGY_CM2_PER_S * strength * beam_s
        event = Event(
            new_uid(), recorded, started, beam_s, technique, self._view, PULSE_MS, pulses_per_s,
            dose_dgy_cm2, dose_dgy_cm2 * KERMA_MGY_PER_DGY_CM2,
        )  # fmt: skip
        case.add(event)
        totals = Totals.of(case.events)
        self.note(
            "beam_off",
            irradiation_event_uid=event.uid,
            dap_dgy_cm2=round(dose_dgy_cm2, 6),
            fluoro_total_s=round(totals.fluoro_s, 3),
            dap_total_dgy_cm2=round(totals.dap_dgy_cm2, 6),
        )

    async def _store(
        self,
        kind: Kind,
        technique: Technique,
        times_ms: list[float],
        frames: np.typing.NDArray[np.uint16],
        comment: str,
        taken: datetime | None = None,
    ) -> None:
        case = self._case()
        number = 1 + sum(kept.image for kept in case.kept)
        events = case.take_pending()
        exposure = Exposure(
            kind, number, taken or self.device_now(), self._view, technique, PULSE_MS, times_ms,
            events, Totals.of(case.events).fluoro_s, number, comment,
        )  # fmt: skip
        identity = self._identity_of_next(case)
        dataset = await asyncio.to_thread(image, exposure, frames, identity, case, self._style)
        self._keep(dataset, tuple(event.uid for event in events))

    def _identity_of_next(self, case: Case) -> Identity:
        if self._disguise is None:
            return case.identity
        identity, left = self._disguise
        self._disguise = (identity, left - 1) if left > 1 else None
        self.note("wrong_patient", left=left - 1)
        return identity

    ACTIONS: ClassVar[Mapping[str, Action]] = {
        "shot": shot,
        "run": cine,
        "fluoro": fluoro,
        "set_clock": set_clock,
        "wrong_patient": wrong_patient,
    }
