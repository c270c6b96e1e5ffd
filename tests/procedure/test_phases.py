"""The phases: which may follow which, and which a device's doing hints at."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from any_payload import payloads
from hypothesis import given, settings
from procedure_rig import image

from esi_room.events import (
    CarmMpps,
    InstanceRef,
    Payload,
    Phase,
    PumpCompleted,
    PumpStarted,
    PumpStatus,
    PumpStopped,
)
from esi_room.procedure.phases import ORDER, hint, is_ahead, why_not

ALL = get_args(Phase)


def test_they_go_as_the_procedure_goes() -> None:
    assert ORDER == ("evaluation", "preparation", "guidance", "injection", "recovery", "follow_up")


@pytest.mark.parametrize("phase", ALL)
def test_any_may_be_the_first_and_forward_any_may_be_skipped(phase: Phase) -> None:
    assert why_not(None, phase, None) is None
    for earlier in ORDER[: ORDER.index(phase)]:
        assert why_not(earlier, phase, None) is None


@pytest.mark.parametrize(("previous", "phase"), [(p, q) for p in ALL for q in ALL if ORDER.index(q) < ORDER.index(p)])
def test_going_back_needs_a_reason(previous: Phase, phase: Phase) -> None:
    for reason in (None, ""):
        assert why_not(previous, phase, reason) == f"{phase} comes before {previous}: give a reason for going back"
    assert why_not(previous, phase, "needle repositioned") is None
    assert why_not(previous, phase, None, hinted=True) is None, "nobody of the staff had said that it was there"


@pytest.mark.parametrize("phase", ALL)
def test_entering_it_again_is_nothing_new_unless_it_confirms_a_hint(phase: Phase) -> None:
    assert why_not(phase, phase, None) == f"the procedure is in {phase} already"
    assert why_not(phase, phase, "again") is not None
    assert why_not(phase, phase, None, hinted=True) is None


def mpps(**fields: Any) -> CarmMpps:
    said = {
        "status": "IN PROGRESS",
        "message": "create",
        "images": 0,
        "sop_instance_uid": "1.2",
        "peer": "",
        "sha256": "",
    }
    return CarmMpps(**said | dict.fromkeys(("started", "ended", "procedure", "order")) | fields)


def pump(kind: type[PumpStatus], state: Any) -> PumpStatus:
    rest = dict.fromkeys(("rate_ml_h", "delivered_ml", "target_ml", "pressure_mmhg", "drug"))
    return kind(state=state, **rest)


@pytest.mark.parametrize(
    ("payload", "phase"),
    [
        (mpps(), "preparation"),
        (mpps(identity="match"), "preparation"),
        (mpps(identity="mismatch"), None),
        (mpps(message="set"), None),
        (mpps(status="COMPLETED"), None),
        (image(), "guidance"),
        (image(identity="mismatch"), None),
        (image(rows=None), None),
        (image(taken_in="another"), None),
        (image(duplicate_of=InstanceRef(record="r", seq=1)), None),
        (pump(PumpStarted, "infusing"), "injection"),
        (pump(PumpStarted, "withdrawing"), None),
        (pump(PumpStarted, "purging"), None),
        (pump(PumpStarted, None), None),
        (pump(PumpStatus, "infusing"), None),
        (pump(PumpStopped, "stopped"), None),
        (pump(PumpCompleted, "stopped"), None),
    ],
)
def test_what_a_device_hints_at(payload: Payload, phase: Phase | None) -> None:
    hinted = hint(payload)
    assert (hinted.phase if hinted else None) == phase
    assert hinted is None or hinted.reason


@given(payloads())
@settings(deadline=None)
def test_nothing_else_is_a_hint(payload: Payload) -> None:
    assert hint(payload) is None or payload.TYPE in {"carm.mpps", "carm.image", "pump.started"}


@pytest.mark.parametrize("phase", ALL)
def test_a_hint_never_leads_back_or_nowhere(phase: Phase) -> None:
    assert is_ahead(phase, None)
    assert not is_ahead(phase, phase)
    assert [each for each in ALL if is_ahead(each, phase)] == list(ORDER[ORDER.index(phase) + 1 :])
