"""The procedure: its phases, deliveries, rules and alerts, and the commands behind them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import Struct

from esi_room.events.base import Payload, Phase, Severity
from esi_room.events.clinical.words import Approach, Level, Side


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What was ordered, in coded words: what time-out and injection are held against."""

    approach: Approach | None = None
    side: Side | None = None
    levels: tuple[Level, ...] = ()


class ProcedureStarted(Payload, frozen=True):
    """A procedure record's second word: what is to be done. No patient identity here, only its salted digest.

    Said again where the staff take over what a device has begun: then the later one counts."""

    TYPE: ClassVar = "procedure.started"
    procedure: str | None
    origin: str
    actor: str | None = None
    identity_sha256: str | None = None
    plan: Plan | None = None


class ProcedureRules(Payload, frozen=True):
    """The rules that this procedure runs under from here on: said behind `procedure.started`, and again where the
    daemon goes on with others.

    `version` and `sha256`: of the file. `rules`: for each that is on, its severity and parameters, so that the record
    alone is enough to evaluate it again. `off`: those that are switched off.
    """

    TYPE: ClassVar = "procedure.rules"
    version: str
    sha256: str
    rules: dict[str, dict[str, Any]]
    off: tuple[str, ...] = ()


class ProcedurePhase(Payload, frozen=True):
    """The procedure entered `phase`. `origin`: `staff`, or the id of the device whose entry `fact` hints at it."""

    TYPE: ClassVar = "procedure.phase"
    phase: Phase
    previous: Phase | None
    origin: str
    reason: str | None
    actor: str | None = None
    fact: int | None = None


class ProcedureEnded(Payload, frozen=True):
    """The procedure is over; the record is sealed next. `unknown`: nobody said so, the room closed it."""

    TYPE: ClassVar = "procedure.ended"
    outcome: Literal["completed", "discontinued", "unknown"]
    origin: str
    reason: str | None = None
    actor: str | None = None


class Interruption(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A delivery stood still from `from` to `to` (RFC 3339)."""

    from_: str
    to: str
    reason: Literal["paused", "alarm", "line_lost"]


class VitalAt(Struct, frozen=True, kw_only=True):
    """A reading near a moment: `at`, in entry `seq`."""

    name: str
    value: float | int
    unit: str
    source: str
    at: str
    seq: int


class PumpEvent(Struct, frozen=True, kw_only=True):
    """An event of the pump under its IHE IPEC name (PCD-10)."""

    ipec: Literal[
        "DELIV_START",
        "DELIV_STOP",
        "DELIV_COMP",
        "COMM_STATUS_CHANGE",
        "PROG_CLEARED",
        "PUMP_VOL_COUNTERS_CLEARED",
        "FLUID_LINE_OCCL",
    ]
    at: str
    seq: int


class Delivery(Payload, frozen=True):
    """One delivery, from its start to its stop or completion, by a pump or by hand (two marks).

    `delivered_ml`: by the pump's counter, null where it cannot be known. `mean_rate_ml_h`: over the time in which it
    ran. `images`: seqs of the images taken within. `vitals_before`, `vitals_after`: the last before the start, the
    first after the end. `remarks`: what was not as usual. `facts`: seqs of its first and last entry.
    """

    TYPE: ClassVar = "procedure.delivery"
    number: int
    origin: Literal["pump", "hand"]
    device: str | None
    started_at: str
    ended_at: str
    ended_by: Literal["completed", "stopped", "counter_reset", "pump_restarted", "line_lost", "procedure_ended", "mark"]
    syringe: str | None
    drugs: tuple[str, ...]
    programmed_ml: float | None
    delivered_ml: float | None
    mean_rate_ml_h: float | None
    peak_rate_ml_h: float | None
    mean_pressure_mmhg: float | None
    peak_pressure_mmhg: float | None
    facts: tuple[int, ...]
    interruptions: tuple[Interruption, ...] = ()
    images: tuple[int, ...] = ()
    vitals_before: tuple[VitalAt, ...] = ()
    vitals_after: tuple[VitalAt, ...] = ()
    events: tuple[PumpEvent, ...] = ()
    remarks: tuple[
        Literal["counter_reset", "occlusion", "pump_restarted", "connected_late", "volume_unknown"], ...
    ] = ()


class Lack(Struct, frozen=True, kw_only=True):
    """What the record does not hold: `item` is the code (`evaluation.consent`), `text` says it in words."""

    item: str
    phase: Phase | None
    text: str


class SyringeBalance(Struct, frozen=True, kw_only=True):
    """A syringe at the end: what was drawn up, and where it went; `difference_ml`: drawn up minus all that."""

    syringe: str
    drawn_up_ml: float | None
    delivered_ml: float
    given_ml: float
    discarded_ml: float
    difference_ml: float | None
    text: str | None
    """The difference in words, where there is one."""


class ProcedureCompleteness(Payload, frozen=True):
    """At the end: what the record lacks, by phase; which rules could not be judged, and why; whether what was drawn up
    is accounted for. `deviations`: ids of the alerts that were raised."""

    TYPE: ClassVar = "procedure.completeness"
    lacks: tuple[Lack, ...]
    not_assessable: dict[str, str]
    syringes: tuple[SyringeBalance, ...]
    deviations: tuple[str, ...]
    complete: bool


class AlertRaised(Payload, frozen=True):
    """Something a person should look at. Raised once under its id. `source_text`: where the rule comes from."""

    TYPE: ClassVar = "alert.raised"
    alert: str
    rule: str
    severity: Severity
    text: str
    facts: tuple[int, ...]
    actor: str | None
    reason: str | None
    source_text: str | None = None
    overridden: bool = False
    """With `alert.acknowledged`: it was decided, for `reason`, to go on nevertheless."""


class AlertAcknowledged(AlertRaised, frozen=True):
    """Somebody saw it."""

    TYPE: ClassVar = "alert.acknowledged"


class AlertCleared(AlertRaised, frozen=True):
    """Its cause ended."""

    TYPE: ClassVar = "alert.cleared"


class OperatorCommand(Payload, frozen=True):
    """A command that was carried out: `id` never acts twice."""

    TYPE: ClassVar = "operator.command"
    id: str
    name: str
    actor: str
    client: str
