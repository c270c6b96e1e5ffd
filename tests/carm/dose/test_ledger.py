"""The account of one record: the best source for each quantity, nothing counted twice, whatever the order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esi_room.carm.dose import headers
from esi_room.carm.dose.ledger import Ledger, Origin
from esi_room.carm.shapes import DoseReport
from esi_room.events import CarmImage, DoseTotal, Entry, InstanceRef, IrradiationEvent, Payload

STUDY, OTHER_STUDY = "1.2.1", "1.2.2"
RECORD = "20270115T080000Z-0000"


def image(number: int = 1, *, study_uid: str | None = STUDY, **dose: Any) -> CarmImage:
    return CarmImage(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.12.1",
        sop_instance_uid=f"1.3.{number}",
        study_uid=study_uid,
        series_uid=None,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sha256="aa",
        size_bytes=1,
        rows=4,
        columns=4,
        frames=None,
        acquired="2026-11-23T09:30:00",
        dose=dose,
        peer="CARM @ 127.0.0.1",
        duplicate_of=None,
    )


def product(number: int, dgy_cm2: Any, event_uid: str | None = None, **more: Any) -> CarmImage:
    named = {} if event_uid is None else {"IrradiationEventUID": event_uid}
    return image(number, ImageAndFluoroscopyAreaDoseProduct=dgy_cm2, **named, **more)


def event(uid: str | None, dap: float | None = None, seconds: float | None = None, **more: Any) -> IrradiationEvent:
    return IrradiationEvent(uid=uid, kind="fluoroscopy", dap_gy_m2=dap, duration_s=seconds, **more)


class Said:
    """A ledger, and what it was told."""

    def __init__(self) -> None:
        self.ledger, self.entries = Ledger(), list[Entry]()

    def image(self, *images: CarmImage) -> Said:
        for each in images:
            seq = self._note(each)
            self._write(self.ledger.add_image(each, seq))
        return self

    def report(self, *reports: DoseReport, study_uid: str | None = STUDY, uid: str | None = None) -> Said:
        for report in reports:
            name = uid or f"1.4.{len(self.entries)}"
            self._write(self.ledger.add(report, "dose report", Origin(name, study_uid, len(self.entries))))
        return self

    def step(self, uid: str = "1.5.1", *, study_uid: str | None = STUDY, **values: Any) -> Said:
        said = DoseReport(scope="step", **values)
        self._write(self.ledger.add(said, "mpps", Origin(uid, study_uid, len(self.entries))))
        return self

    def _write(self, payload: Payload | None) -> None:
        if payload is not None:
            self._note(payload)

    def _note(self, payload: Payload) -> int:
        seq = len(self.entries)
        octets = msgspec.json.encode(payload)
        fields = {"v": 1, "record": RECORD, "seq": seq, "prev": "", "type": payload.TYPE, "time": "", "received": ""}
        self.entries.append(Entry(**fields, mono_ns=0, source="carm", data=msgspec.Raw(octets)))
        return seq

    @property
    def total(self) -> DoseTotal:
        return self.ledger.total()

    @property
    def dap(self) -> tuple[float | None, str | None]:
        return self.total.dap_gy_m2, self.total.provenance.get("dap_gy_m2")


@pytest.mark.parametrize("nameless_first", [True, False])
def test_a_report_that_leaves_out_the_events_uids_tells_of_no_other_events(nameless_first: bool) -> None:
    named = [event(f"1.9.{n}", 1e-5, 2.0, at=f"2026-11-23T09:30:0{n}") for n in range(3)]
    reports = [
        DoseReport(dap_gy_m2=3e-5, fluoro_time_s=6.0, events=tuple(each))
        for each in (named, [replace(each, uid=None) for each in named])
    ]
    said = Said().report(*reports[:: -1 if nameless_first else 1])
    assert said.total.dap_gy_m2 == pytest.approx(3e-5)
    assert said.total.fluoro_time_s == pytest.approx(6.0)
    assert said.total.irradiation_events == 3


def test_two_planes_that_begin_together_are_two_events() -> None:
    at = "2026-11-23T09:30:00"
    said = Said().report(DoseReport(events=(event("1.9.1", 1e-5, at=at), event("1.9.2", 2e-5, at=at)), scope="study"))
    assert said.total.dap_gy_m2 == pytest.approx(3e-5)


def test_an_image_header_in_its_units() -> None:
    said = headers.report(product(1, 12.3, "1.9", TotalTimeOfFluoroscopy=7, RadiationSetting="SC"))
    assert said is not None
    assert (said.dap_gy_m2, said.fluoro_time_s, said.scope) == (0.000123, 7.0, "image")
    assert said.events[0].uid == "1.9" and said.events[0].kind == "fluoroscopy"
    assert headers.report(image(EntranceDoseInmGy=3.0, Exposure=2)) is None
    broken = headers.report(product(1, "much"))
    assert broken is not None and broken.unreadable == (
        "ImageAndFluoroscopyAreaDoseProduct: no number of this quantity",
    )


def test_images_add_up_and_their_fluoroscopy_time_is_a_running_one() -> None:
    said = Said().image(product(1, 1.0, TotalTimeOfFluoroscopy=5), product(2, 2.0, TotalTimeOfFluoroscopy=9))
    assert said.dap == (3e-5, "image headers")
    assert said.total.fluoro_time_s == 9.0
    assert said.total.air_kerma_rp_gy is None


def test_images_of_one_irradiation_event_carry_one_dose() -> None:
    said = Said().image(*(product(number, 1.0, "1.9.1") for number in range(5)))
    assert said.dap == (1e-5, "image headers")
    assert said.total.irradiation_events == 1
    assert [entry.type for entry in said.entries].count("carm.dose") == 1


@pytest.mark.parametrize("dose", [{}, {"KVP": 70}, {"EntranceDoseInmGy": 1.5}])
def test_a_header_that_adds_nothing_makes_no_entry(dose: dict[str, Any]) -> None:
    assert [entry.type for entry in Said().image(image(**dose)).entries] == ["carm.image"]


def test_each_source_goes_before_the_lesser_ones() -> None:
    said = Said().image(product(1, 1.0))
    assert said.dap == (1e-5, "image headers")
    said.step(dap_gy_m2=3e-5, fluoro_time_s=20.0)
    assert said.dap == (3e-5, "mpps")
    said.report(DoseReport(dap_gy_m2=3.1e-5, air_kerma_rp_gy=2e-3, scope="step", scope_uid="1.5.1"))
    assert said.dap == (3.1e-5, "dose report, totals")
    assert said.total.air_kerma_rp_gy == 2e-3
    assert (said.total.fluoro_time_s, said.total.provenance["fluoro_time_s"]) == (20.0, "mpps")  # each by itself


def test_a_step_that_begins_with_no_dose_hides_no_image() -> None:
    said = Said().step(dap_gy_m2=0.0, fluoro_time_s=0.0).image(product(1, 1.0))
    assert said.dap == (1e-5, "image headers")


def test_a_cumulative_report_takes_the_place_of_the_one_before() -> None:
    first = DoseReport(dap_gy_m2=1e-5, scope="cumulative", scope_uid="1.5.1", events=(event("1", 1e-5),))
    second = replace(first, dap_gy_m2=3e-5, events=(event("1", 1e-5), event("2", 2e-5)))
    final = replace(second, scope="step", dap_gy_m2=4e-5)
    said = Said().report(first).report(second)
    assert said.dap == (3e-5, "dose report, totals")
    assert said.report(final).dap == (4e-5, "dose report, totals")
    assert said.total.irradiation_events == 2


def test_a_continued_report_adds_its_events() -> None:
    first = DoseReport(dap_gy_m2=3e-5, events=(event("1", 1e-5), event("2", 2e-5)))
    second = DoseReport(dap_gy_m2=4e-5, events=(event("3", 4e-5),))
    said = Said().report(first, second)
    assert said.dap == (7e-5, "dose report, events")
    assert said.total.irradiation_events == 3


def test_events_left_out_of_a_report_are_in_its_totals() -> None:
    said = Said().report(DoseReport(dap_gy_m2=9e-5, events=(event("1", 1e-5), event(None))))
    assert said.dap == (9e-5, "dose report, totals")


def test_a_report_of_one_event_may_give_totals_alone() -> None:
    one = DoseReport(dap_gy_m2=1e-5, fluoro_time_s=4.0, scope="event", scope_uid="1.9.1")
    said = Said().report(one, replace(one, scope_uid="1.9.2"), one)
    assert said.dap == (2e-5, "dose report, events")
    assert (said.total.fluoro_time_s, said.total.irradiation_events) == (8.0, 2)


def test_reports_of_single_events_may_be_overtaken() -> None:
    said = Said().report(DoseReport(dap_gy_m2=1e-5, scope="event", scope_uid="1.9.1"))
    said.step(dap_gy_m2=5e-5)
    assert said.dap == (5e-5, "mpps")


def test_two_steps_one_with_a_report() -> None:
    said = Said().step("1.5.1", dap_gy_m2=1e-5).step("1.5.2", dap_gy_m2=2e-5)
    assert said.dap == (3e-5, "mpps")
    said.report(DoseReport(dap_gy_m2=1.5e-5, scope="step", scope_uid="1.5.1"))
    assert said.dap == (3.5e-5, "dose report, totals + mpps")


def test_a_report_of_a_step_that_no_mpps_knows_is_not_added_to_it() -> None:
    said = Said().step("1.5.1", dap_gy_m2=1e-5)
    assert said.report(DoseReport(dap_gy_m2=1.1e-5, scope="step", scope_uid="9.9")).dap[0] == 1.1e-5
    assert said.report(DoseReport(dap_gy_m2=1.2e-5, scope="step")).dap[0] == 1.2e-5


def test_two_studies_add_up() -> None:
    said = Said().image(product(1, 1.0), product(2, 2.0, study_uid=OTHER_STUDY))
    said.report(DoseReport(dap_gy_m2=5e-5), study_uid=OTHER_STUDY)
    assert said.dap == (6e-5, "dose report, totals + image headers")


def test_the_same_object_again_says_nothing_new() -> None:
    report = DoseReport(dap_gy_m2=1e-5)
    said = Said().report(report, report, uid="1.4.7").step(dap_gy_m2=1e-5).step(dap_gy_m2=1e-5)
    again = replace(product(1, 1.0), duplicate_of=InstanceRef(record=RECORD, seq=0))
    said.image(product(1, 1.0), again)
    assert [entry.type for entry in said.entries] == ["carm.dose"] * 2 + ["carm.image", "carm.dose", "carm.image"]


def test_an_empty_report_is_an_entry_that_changes_nothing() -> None:
    said = Said().image(product(1, 1.0)).report(DoseReport(unreadable=("the report names no dose",)))
    assert said.dap == (1e-5, "image headers")
    assert msgspec.json.decode(said.entries[-1].data)["unreadable"] == ["the report names no dose"]


def test_what_came_too_late_is_an_entry_and_counts_nothing() -> None:
    late = "20270115T070000Z-0000"
    said = Said().image(replace(product(1, 1.0), taken_in=late))
    origin = Origin("1.4.1", STUDY, 1, late)
    payload = said.ledger.add(DoseReport(dap_gy_m2=1e-5, events=(event("1", 1e-5),)), "dose report", origin)
    assert payload is not None
    assert (payload.dap_gy_m2, payload.taken_in) == (1e-5, late)
    assert (payload.total.dap_gy_m2, payload.total.irradiation_events) == (None, None)
    said._note(payload)
    assert Ledger.of(said.entries).total() == said.total


def test_an_image_whose_dose_entry_was_lost_in_a_crash_still_counts() -> None:
    said = Said().image(product(1, 1.0), product(2, 2.0))
    assert Ledger.of(entry for entry in said.entries if entry.type == "carm.image").total() == said.total


DAP = st.integers(0, 1000).map(lambda number: number * 1e-7)
UIDS = st.sampled_from([f"1.9.{number}" for number in range(4)])
STEPS = st.sampled_from(["1.5.1", "1.5.2"])
EVENT = st.builds(event, st.one_of(st.none(), UIDS), st.one_of(st.none(), DAP), st.one_of(st.none(), DAP))
REPORT = st.builds(
    DoseReport,
    dap_gy_m2=st.one_of(st.none(), DAP),
    air_kerma_rp_gy=st.one_of(st.none(), DAP),
    fluoro_time_s=st.one_of(st.none(), DAP),
    events=st.lists(EVENT, max_size=3).map(tuple),
    scope=st.sampled_from(["study", "step", "cumulative", "event"]),
    scope_uid=st.one_of(st.none(), STEPS),
)
SOURCE = st.one_of(
    st.tuples(st.just("report"), REPORT, st.sampled_from([STUDY, OTHER_STUDY]), st.uuids().map(str)),
    st.tuples(st.just("step"), REPORT, st.just(STUDY), STEPS),
    st.tuples(st.just("image"), st.integers(0, 9), st.integers(1, 5), st.one_of(st.none(), UIDS)),
)


def tell(said: Said, sources: list[Any]) -> DoseTotal:
    for kind, what, study_uid, uid in sources:
        if kind == "image":
            said.image(product(what, float(study_uid), uid))
        elif kind == "report":
            said.report(what, study_uid=study_uid, uid=uid)
        else:
            said.step(uid, dap_gy_m2=what.dap_gy_m2, fluoro_time_s=what.fluoro_time_s)
    return said.total


@settings(max_examples=200, deadline=None)
@given(sources=st.lists(SOURCE, max_size=8), data=st.data())
def test_neither_order_nor_repetition_changes_the_total(sources: list[Any], data: st.DataObject) -> None:
    # One image says one thing: the first of each number.
    seen: dict[int, Any] = {}
    plain = [s for s in sources if s[0] != "image" or seen.setdefault(s[1], s) is s]
    said = Said()
    total = tell(said, plain)
    again = data.draw(st.permutations(plain + plain[: len(plain) // 2]))
    shuffled = tell(Said(), again)
    for name in ("dap_gy_m2", "air_kerma_rp_gy", "fluoro_time_s"):
        assert getattr(shuffled, name) == pytest.approx(getattr(total, name))
    assert (shuffled.irradiation_events, shuffled.provenance) == (total.irradiation_events, total.provenance)
    rebuilt = Ledger.of(said.entries).total()
    assert rebuilt.dap_gy_m2 == pytest.approx(total.dap_gy_m2)
    assert (rebuilt.irradiation_events, rebuilt.provenance) == (total.irradiation_events, total.provenance)
