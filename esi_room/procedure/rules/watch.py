"""What is watched throughout: vital signs, dose, injection pressure; and what is due before the patient leaves."""

from __future__ import annotations

from statistics import median

from esi_room.events.clinical import Discharge, InjectionPressure, MotorSensory, Padss, Pain, Sedation
from esi_room.procedure.facts import Facts
from esi_room.procedure.rules.drugs import DEEP
from esi_room.procedure.rules.verdict import NOTHING, Finding, Params, Verdict, found, injections
from esi_room.procedure.taken import Value

HEART_RATES = ("heart_rate_bpm", "pulse_rate_bpm")
NIBP = "nibp_systolic_mmhg"
SPO2 = "spo2_pct"
ETCO2 = ("etco2_mmhg", "etco2_pct")  # some monitors give it in vol %
MONITORED = frozenset({"preparation", "guidance", "injection"})
ATTENDED = frozenset({"ward", "emergency"})  # PADSS asks whether somebody may go home


def monitoring(facts: Facts, p: Params) -> Verdict:
    """R10."""
    since_s = _since(facts)
    lacking = [
        what
        for what, names in (("NIBP", (NIBP,)), ("heart rate", HEART_RATES), ("SpO2", (SPO2,)))
        if facts.last_vital(*names) is None
    ]
    why = f"no {', '.join(lacking)} source" if lacking else None
    if since_s is None:
        return Verdict(lacking=why)
    return found(
        _old(facts, since_s, ("nibp", "The blood pressure", (NIBP,)), p["nibp_max_age_s"]),
        _old(facts, since_s, ("heart_rate", "The heart rate", HEART_RATES), p["heart_rate_max_age_s"]),
        _old(facts, since_s, ("spo2", "SpO2", (SPO2,)), p["spo2_max_age_s"]),
        _no_etco2(facts, since_s, p["etco2_max_age_s"]),
        lacking=why,
    )


def _since(facts: Facts) -> float | None:
    """When the phases began in which the patient is monitored; None where none of them is the present one."""
    since_s = None
    for fact in facts.phases:
        if fact.data.phase not in MONITORED:
            since_s = None
        elif since_s is None:
            since_s = fact.at_s
    return None if facts.ended else since_s


def _old(facts: Facts, since_s: float, sign: tuple[str, str, tuple[str, ...]], max_age_s: float) -> Finding | None:
    """Not heard of for too long. What was measured before those phases gives the staff as long again."""
    key, name, names = sign
    last = facts.last_vital(*names)
    if last is None or facts.now_s - max(last.at_s, since_s) <= max_age_s:
        return None
    return Finding(key, f"{name} is older than {_duration(max_age_s)}.", (last.seq,))


def _no_etco2(facts: Facts, since_s: float, max_age_s: float) -> Finding | None:
    sedated = facts.last(Sedation)
    if sedated is None or sedated.data.level not in DEEP:
        return None
    last = facts.last_vital(*ETCO2)
    last_s = max(since_s, sedated.at_s, last.at_s if last else 0.0)
    if facts.now_s - last_s <= max_age_s:
        return None
    return Finding("etco2", "Sedated, and there is no EtCO2.", (sedated.seq, *([] if last is None else [last.seq])))


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"


def vasovagal(facts: Facts, p: Params) -> Verdict:
    """R15."""
    last, rate = facts.last_vital(NIBP), facts.last_vital(*HEART_RATES)
    if last is None or rate is None:
        return Verdict(lacking="no heart rate source" if rate is None else "no NIBP source")
    if facts.now_s - last.at_s > p["within_s"] or _told_before(facts, last.seq):
        return NOTHING
    highest = max(facts.vitals(NIBP, since_s=last.at_s - p["systolic_before_s"]), key=lambda value: value.value)
    slow = _slow(facts, p) if highest.value - last.value >= p["systolic_fall_mmhg"] else None
    if slow is None:
        return NOTHING
    text = (
        f"Possible vasovagal reaction: heart rate {slow[0]:.0f}/min, before {slow[1]:.0f}; "
        f"systolic {last.value:.0f} mmHg, before {highest.value:.0f}."
    )
    return found(Finding("", text, tuple(dict.fromkeys((highest.seq, last.seq, rate.seq)))))


def _told_before(facts: Facts, systolic: int) -> bool:
    """This pressure led to an alert that is over: a heart rate about the threshold makes no second one of it."""
    told = (alert for alert, fact in facts.raised.items() if fact.data.rule == "R15" and systolic in fact.data.facts)
    return any(alert not in facts.alerts for alert in told)


def _slow(facts: Facts, p: Params) -> tuple[float, float] | None:
    """The heart rate now and before, as medians, where it has fallen or is low."""
    since_s, until_s = facts.now_s - p["before_from_s"], facts.now_s - p["before_to_s"]
    values = facts.vitals(*HEART_RATES, since_s=since_s)
    present = [value.value for value in values if value.at_s >= facts.now_s - p["present_s"]]
    earlier = [value.value for value in values if value.at_s <= until_s]
    if not present or not earlier:
        return None
    rate, baseline = median(present), median(earlier)
    low = rate < p["low_bpm"] <= baseline  # it fell below: one that is slow anyway has not
    return (rate, baseline) if low or rate < baseline * (1 - p["fall_pct"] / 100) else None


_QUANTITIES = (
    # field of the total, parameter, what people call it, their unit, how many of it an SI unit is
    ("fluoro_time_s", "fluoro_time_s", "Fluoroscopy time", "s", 1.0),
    ("dap_gy_m2", "dap_cgy_cm2", "Dose area product", "cGy.cm2", 1e6),
    ("air_kerma_rp_gy", "air_kerma_mgy", "Air kerma at the reference point", "mGy", 1e3),
)


def dose(facts: Facts, p: Params) -> Verdict:
    """R16."""
    if facts.dose is None:
        return Verdict(lacking="nothing told of dose")
    total, findings, unsaid = facts.dose.data.total, [], []
    for field, parameter, name, unit, scale in _QUANTITIES:
        value, level = getattr(total, field), p[parameter]
        if value is None and level:
            unsaid.append(name.lower())
        if value is not None and level and value * scale > level:
            text = f"{name} {value * scale:.4g} {unit} is above the room's alert level of {level:.4g} {unit}."
            findings.append(Finding(field, text, (facts.dose.seq,)))
    return found(*findings, lacking=f"nothing told of the {', '.join(unsaid)}" if unsaid else None)


def pressure(facts: Facts, p: Params) -> Verdict:
    """R17."""
    read = facts.said(InjectionPressure)
    if not read and not any(facts.pressures.values()):
        return Verdict(lacking="nothing gives the injection pressure")
    high: Finding | None = None
    for fact in read:
        if fact.data.pressure_mmhg > p["limit_mmhg"]:
            high = high or _too_high(fact.data.pressure_mmhg, fact.seq, p)
    fall: Finding | None = None
    for values in facts.pressures.values():
        over = next((value for value in values if value.value > p["limit_mmhg"]), None)
        high = high or (_too_high(over.value, over.seq, p) if over else None)
        fall = fall or _fall(values, p)
    return found(high, fall)


def _too_high(pressure_mmhg: float, seq: int, p: Params) -> Finding:
    return Finding("limit", f"Injection pressure {pressure_mmhg:.0f} mmHg is above {p['limit_mmhg']:g} mmHg.", (seq,))


def _fall(values: list[Value], p: Params) -> Finding | None:
    """The pressure stays below the given part of its peak for the given time."""
    peak: Value | None = None
    below: Value | None = None
    for value in values:
        if peak is None or value.value > peak.value:
            peak, below = value, None
        elif value.value < peak.value * (1 - p["fall_pct"] / 100):
            below = below or value
            if value.at_s - below.at_s > p["fall_s"]:
                text = f"The injection pressure fell from {peak.value:.0f} to {value.value:.0f} mmHg and stayed there."
                return Finding("fall", text, (peak.seq, below.seq, value.seq))
        else:
            below = None
    return None


def discharge(facts: Facts, p: Params) -> Verdict:
    """R18."""
    gone = facts.last(Discharge)
    if gone is None:
        return Verdict(lacking="no discharge is recorded")
    injected_ns = max((start.time_ns for start in injections(facts) if start.time_ns <= gone.time_ns), default=0)
    padss = facts.last(Padss, by_ns=gone.time_ns)
    missing = []
    if gone.data.to not in ATTENDED and (padss is None or padss.data.score < p["padss"]):
        missing.append(f"PADSS {padss.data.score}, not {p['padss']}" if padss else "no PADSS")
    if not any(f.data.occasion == "after" and injected_ns <= f.time_ns <= gone.time_ns for f in facts.said(Pain)):
        missing.append("no pain score afterwards")
    if not any(injected_ns <= fact.time_ns <= gone.time_ns for fact in facts.said(MotorSensory)):
        missing.append("no motor check afterwards")
    if not missing:
        return NOTHING
    seqs = (gone.seq, *((padss.seq,) if padss else ()))
    return found(Finding("", f"Discharged with {', '.join(missing)}.", seqs))
