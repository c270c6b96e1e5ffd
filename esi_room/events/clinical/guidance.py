"""Forms of the guidance: approach, needle, what the tip found, contrast, views kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from esi_room.events.clinical import words as w
from esi_room.events.clinical.base import Clinical
from esi_room.events.clinical.preparation import Component, no_course

Uptake = Literal["vascular", "intrathecal"]


class ApproachTaken(Clinical, frozen=True):
    """Where the needle goes in fact. Said again where it changes, or for another level."""

    TYPE: ClassVar = "clinical.approach"
    approach: w.Approach
    side: w.Side
    levels: w.Levels

    def problems(self) -> Iterable[str]:
        yield from no_course(self.approach, self.side, self.levels)


class Needle(Clinical, frozen=True):
    """A needle is placed, moved to a new position, or taken out. Gauge DCM 111465, length DCM 111467.

    `repositioned` begins a new position of the tip: what was seen at the one before (blood, vascular uptake) is of
    that one.
    """

    TYPE: ClassVar = "clinical.needle"
    action: Literal["placed", "repositioned", "removed"]
    kind: Literal["tuohy", "quincke", "chiba", "blunt", "whitacre", "other"] | None = None
    gauge_g: w.GaugeG | None = None
    length_mm: w.DepthMm | None = None
    level: w.Level | None = None
    side: w.Side | None = None
    attempts: w.Attempts | None = None


class LossOfResistance(Clinical, frozen=True):
    """Loss of resistance, with what, how deep."""

    TYPE: ClassVar = "clinical.loss_of_resistance"
    obtained: bool
    medium: Literal["air", "saline", "hanging_drop", "local_anaesthetic"]
    depth_mm: w.DepthMm | None = None
    attempts: w.Attempts | None = None


class Aspiration(Clinical, frozen=True):
    """What came back at the needle's present position. `level`, `side`: of which needle, where there are several.
    Furman, Spine 2003;28:21."""

    TYPE: ClassVar = "clinical.aspiration"
    result: Literal["negative", "blood", "csf"]
    level: w.Level | None = None
    side: w.Side | None = None


class Contrast(Clinical, frozen=True, tag_field="code", tag="DCM 122086"):
    """Contrast (DCM 122086) and what it showed; or why none was given. LCDs, Ehsanian 2019.

    `component`: agent, concentration, volume. `imaging`: how it was watched. `spread`: where it went. `uptake`: what
    must not be, and `action` what was done then. `level`, `side`: through which needle, where there are several.
    """

    TYPE: ClassVar = "clinical.contrast"
    given: bool
    component: Component | None = None
    imaging: Literal["live_fluoroscopy", "dsa", "static"] | None = None
    spread: tuple[Literal["epidural", "foraminal", "nerve_root", "subdural", "soft_tissue", "facet", "disc"], ...] = ()
    uptake: tuple[Uptake, ...] = ()
    action: Literal["none", "repositioned", "abandoned", "level_changed"] | None = None
    reason: w.Text | None = None
    level: w.Level | None = None
    side: w.Side | None = None

    def problems(self) -> Iterable[str]:
        if self.given and (self.component is None or self.imaging is None):
            yield "contrast was given: say the agent in component, and in imaging how it was watched"
        if self.component is not None:
            yield from self.component.problems()
            if self.component.drug not in {*w.CONTRAST_AGENTS, "other"}:
                yield f"{self.component.drug} is no contrast agent"
        if not self.given and (self.component or self.imaging or self.spread or self.uptake or self.action):
            yield "contrast was not given: leave out what it showed"
        if self.uptake and self.action is None:
            yield "uptake was seen: say in action what was done"


class ViewKept(Clinical, frozen=True):
    """A view was kept on purpose: projection, with or without contrast, and the image where it is known."""

    TYPE: ClassVar = "clinical.view"
    projection: Literal["ap", "lateral", "oblique", "contralateral_oblique"]
    contrast: bool = False
    sop_instance_uid: w.Uid | None = None


FORMS = (ApproachTaken, Needle, LossOfResistance, Aspiration, Contrast, ViewKept)
