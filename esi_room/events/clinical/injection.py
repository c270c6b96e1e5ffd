"""Forms of the injection, and of what may go wrong at any time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from esi_room.events.clinical import words as w
from esi_room.events.clinical.base import Clinical


class HandInjection(Clinical, frozen=True):
    """An injection by hand, as two marks: `begin`, and `end` with the volume. The two make one delivery.

    `level`, `side`: through which needle, where there are several."""

    TYPE: ClassVar = "clinical.hand_injection"
    state: Literal["begin", "end"]
    syringe: w.Label | None = None
    drug: w.Drug | None = None
    volume_ml: w.VolumeMl | None = None
    route: w.Route = "epidural"
    level: w.Level | None = None
    side: w.Side | None = None

    def problems(self) -> Iterable[str]:
        if self.state == "end" and self.volume_ml is None:
            yield "an injection that ended has a volume_ml"
        if self.state == "begin" and self.volume_ml is not None:
            yield "volume_ml is said with state end"


class InjectionPressure(Clinical, frozen=True):
    """The pressure that somebody read during the injection (an in-line manometer, a pressure line's display)."""

    TYPE: ClassVar = "clinical.injection_pressure"
    pressure_mmhg: w.PressureMmhg
    method: Literal["inline_manometer", "transducer", "other"]


class Sensation(Clinical, frozen=True):
    """What the patient feels during the injection."""

    TYPE: ClassVar = "clinical.sensation"
    kind: Literal["pressure", "concordant_pain", "paraesthesia", "warmth", "pain"]
    side: w.Side | None = None
    action: Literal["none", "paused", "slowed", "stopped", "repositioned"] = "none"


class Closure(Clinical, frozen=True, tag_field="code", tag="DCM 122033"):
    """Needle out: haemostasis (DCM 122033) and dressing."""

    TYPE: ClassVar = "clinical.closure"
    haemostasis: bool
    dressing: bool
    needle_complete: bool | None = None


class Complication(Clinical, frozen=True):
    """Something went wrong. LAST: local anaesthetic systemic toxicity. Plastaras 2015; ASRA LAST 2017."""

    TYPE: ClassVar = "clinical.complication"
    kind: Literal[
        "vasovagal", "dural_puncture", "intravascular_injection", "paraesthesia", "weakness", "last", "allergy",
        "high_block", "bleeding", "haematoma", "infection", "headache", "nausea", "other",
    ]  # fmt: skip
    severity: Literal["mild", "moderate", "severe", "life_threatening"]
    name: w.Word | None = None
    action: w.Text | None = None
    resolved: bool | None = None

    def problems(self) -> Iterable[str]:
        if self.kind == "other" and self.name is None:
            yield "kind is other: say in name what it is"


FORMS = (HandInjection, InjectionPressure, Sensation, Closure, Complication)
