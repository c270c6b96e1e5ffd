"""The case in one line: what somebody asks first who never saw such a report."""

from __future__ import annotations

from collections.abc import Iterator

from esi_room.audit.export.case import Case
from esi_room.audit.export.pdf.typeface import shown
from esi_room.clock import NS
from esi_room.events import DeviceGap


def glance(case: Case) -> str:
    """As reportlab's markup."""
    return " &nbsp;·&nbsp; ".join(shown(each) for each in _facts(case))


def _facts(case: Case) -> Iterator[str]:
    facts = case.facts
    if facts.started is not None and facts.ended is not None:
        yield f"{(facts.ended.time_ns - facts.started.time_ns) / NS / 60:.0f} min"
    images = len(case.images())
    yield _many(images, "image")
    if facts.dose is not None:
        total = facts.dose.data.total
        if total.fluoro_time_s is not None:
            yield f"fluoroscopy {total.fluoro_time_s:g} s"
        if total.dap_gy_m2 is not None:
            yield f"DAP {total.dap_gy_m2 * 1e6:.4g} µGy·m²"
    for fact in facts.deliveries:
        volume = "volume unknown" if fact.data.delivered_ml is None else f"{fact.data.delivered_ml:g} mL"
        yield f"delivered {volume} {' + '.join(fact.data.drugs).replace('_', ' ') or 'of a drug not said'}"
    rules = sorted({fact.data.rule for fact in facts.raised.values()})
    yield _many(len(facts.raised), "alert") + (f" ({', '.join(rules)})" if rules else "")
    yield _many(sum(isinstance(said.data, DeviceGap) for said in case.events), "gap")
    yield _many(sum(map(len, case.corrections.values())), "correction")
    if facts.completeness is not None:
        yield f"{len(facts.completeness.data.lacks) or 'nothing'} lacking"


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
