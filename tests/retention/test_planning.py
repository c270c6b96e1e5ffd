"""What goes, decided over any set of records: in order, never the open one, never what somebody needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from esi_room.record.holdings import Holding
from esi_room.record.retention import DAY_S, SETTLED_S, Plan, Policy, in_words, plan

NOW_NS = 1_800_000_000 * 10**9


def holding(number: int, age_days: float | None, size: int, images: int, speaks_of: frozenset[int]) -> Holding:
    return Holding(
        record=f"20260101T{number:06}Z-0000",
        kind="procedure",
        sealed_ns=None if age_days is None else NOW_NS - round(age_days * DAY_S * 1e9),
        size_bytes=size + images * 100,
        images=tuple(f"{number:032}{n:032}" for n in range(images)),
        image_bytes=images * 100,
        late_of=frozenset(),
        speaks_of=frozenset(f"20260101T{each:06}Z-0000" for each in speaks_of if each < number),
    )


@st.composite
def holdings(draw: st.DrawFn) -> list[Holding]:
    count = draw(st.integers(1, 8))
    ages = sorted((draw(st.floats(0.0, 30.0)) for _ in range(count)), reverse=True)
    made = []
    for n, age in enumerate(ages):
        sealed = draw(st.booleans()) or draw(st.booleans())
        speaks = frozenset(draw(st.sets(st.integers(0, count), max_size=2)))
        made.append(holding(n, age if sealed else None, draw(st.integers(1, 2000)), draw(st.integers(0, 3)), speaks))
    return made


days = st.one_of(st.none(), st.integers(1, 30))


def decide(there: list[Holding], policy: Policy, needed: set[int], *, synchronised: bool = True) -> Plan:
    names = {there[n].record for n in needed if n < len(there)}
    waits = lambda record, _what: "it is needed" if record in names else None  # noqa: E731
    return plan(there, policy, NOW_NS, waits, synchronised=synchronised)


@given(there=holdings(), keep=days, images=days, quota=st.one_of(st.none(), st.integers(0, 8000)),
       needed=st.sets(st.integers(0, 7)), synchronised=st.booleans())  # fmt: skip
def test_whatever_there_is(there, keep, images, quota, needed, synchronised):
    policy = Policy(keep_days=keep, keep_images_days=images, max_bytes=quota)
    found = decide(there, policy, needed, synchronised=synchronised)
    by_id = {each.record: each for each in there}
    gone: set[str] = set()
    for step in found.steps:
        each = by_id[step.record]
        age_s = (NOW_NS - (each.sealed_ns or NOW_NS)) / 1e9
        assert each is not there[-1]
        assert each.sealed_ns is not None
        assert age_s >= SETTLED_S
        assert step.record not in {there[n].record for n in needed if n < len(there)}
        assert step.rule == "max_bytes" or synchronised
        if step.rule != "max_bytes":
            assert age_s > (keep if step.rule == "keep_days" else images) * DAY_S
        if step.what == "record":
            assert not (each.speaks_of & by_id.keys()) - gone
            gone.add(step.record)
    records = [step.record for step in found.steps if step.what == "record"]
    assert len(records) == len(set(records))
    freed = sum(step.freed_bytes for step in found.steps)
    left = found.size_bytes - freed
    assert left >= 0
    assert found.over_bytes == (0 if quota is None else max(0, left - quota))
    by_quota = [step for step in found.steps if step.rule == "max_bytes"]
    whats = [step.what for step in by_quota]
    assert whats == sorted(whats), "images before records"
    for what in ("images", "record"):
        order = [step.record for step in by_quota if step.what == what]
        assert order == sorted(order)
    if by_quota:
        assert left + by_quota[-1].freed_bytes > quota, "no more than the quota asks for"
    assert policy.keeps_all <= (not found.steps)


def test_an_age_is_counted_from_the_seal_to_the_second():
    there = [holding(0, 3.0, 10, 0, frozenset()), holding(1, None, 10, 0, frozenset())]
    assert decide(there, Policy(keep_days=3), set()).steps == ()
    there[0] = there[0]._replace(sealed_ns=there[0].sealed_ns - 1)
    (step,) = decide(there, Policy(keep_days=3), set()).steps
    assert step.reason == "it was sealed on 2027-01-12, more than 3 days ago (keep_days)"


def test_a_step_says_what_the_quota_was():
    there = [holding(n, 9.0 - n, 400, 1, frozenset()) for n in range(3)]
    found = decide(there, Policy(max_bytes=1400), set())
    assert [(step.record, step.what, step.freed_bytes) for step in found.steps] == [(there[0].record, "images", 100)]
    assert found.steps[0].reason == "the records had 1.5 kB, and may have 1.4 kB (max_bytes)"


def test_sizes_in_words():
    assert [in_words(n) for n in (0, 999, 1000, 3_200_000_000, 5 * 10**12)] == [
        "0 bytes", "999 bytes", "1.0 kB", "3.2 GB", "5.0 TB",
    ]  # fmt: skip
