"""The worklist as a C-arm sees it: dcmtk's findscu asks a running room; the rules of matching one by one."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import pynetdicom.association
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import AE
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import ModalityWorklistInformationFind

from esi_room.carm.listener import matching
from esi_room.carm.listener.matching import BadQuery
from esi_room.carm.worklist import items
from esi_room.commands import Identity, Order, PlaceOrder

STEP = "(0040,0100)[0]."
NAMES = {
    "latin": ("Müller^Jörg", ["ISO_IR 100"]),
    "japanese": ("Yamada^Tarou=山田^太郎=やまだ^たろう", ["", "ISO 2022 IR 87"]),
    "utf8": ("Ωmega^Ζωή=王^小东", ["ISO_IR 192"]),
}
_numbers = itertools.count(1)


def order(number: int = 1, name: str = "Doe^Jane", **fields: Any) -> Order:
    given_fields: dict[str, Any] = {
        "id": f"S{number}",
        "identity": Identity(name=name, id=f"P{number}", birth_date="1960-02-03"),
        "sex": "F",
        "accession": f"A{number}",
        "procedure": "Epidural steroid injection L4/5",
        "modality": "XA",
        "station_ae_title": "CARM",
        "physician": "Weiss^Anna",
    }
    return Order(**given_fields | fields)


def with_dataset(plain: Order, character_set: list[str] | None = None, **extra: Any) -> Order:
    """The same as if it had come as DICOM."""
    item = items.item(plain)
    if character_set:
        item.SpecificCharacterSet = character_set
    for keyword, value in extra.items():
        setattr(item, keyword, value)
    return items.orders_of(item)[0]


async def place(room: Any, *orders: Order) -> None:
    for each in orders:
        number = next(_numbers)
        await room.service.orders.place(PlaceOrder(id=f"c{number}", actor="nurse", client="console", order=each))


@pytest.fixture
def ask(run, peers, tmp_path) -> Callable[..., Any]:
    """dcmtk's findscu with these keys: the items it got, and what it printed."""
    findscu = peers.need("findscu")

    async def find(room: Any, *keys: str) -> tuple[list[Dataset], str]:
        folder = tmp_path / f"responses{next(_numbers)}"
        folder.mkdir()
        asked = itertools.chain.from_iterable(("-k", key) for key in keys)
        command = (findscu, "-d", "-W", "-X", "-od", folder, "-aet", "CARM", "-aec", "ESI_ROOM")
        code, said = await run(*command, *asked, "127.0.0.1", str(room.port))
        assert code == 0, said
        return [dcmread(path) for path in sorted(folder.iterdir())], said

    return find


RETURN_KEYS = (
    *(f"{STEP}{word}" for word in ("ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "Modality")),
    *(f"{STEP}{word}" for word in ("ScheduledProcedureStepStartTime", "ScheduledProcedureStepID")),
    f"{STEP}ScheduledProcedureStepDescription",
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyInstanceUID"),
    *("RequestedProcedureID", "RequestedProcedureDescription", "PatientWeight", "ReferringPhysicianName"),
)


# --- a real peer -------------------------------------------------------------------------------------------


async def test_findscu_gets_every_key_it_asks_for(room, ask):
    await place(room, order(scheduled_at=None))
    [item], said = await ask(room, *RETURN_KEYS)
    [step] = item.ScheduledProcedureStepSequence
    assert step.ScheduledStationAETitle == "CARM" and step.Modality == "XA"
    assert len(step.ScheduledProcedureStepStartDate) == 8 and len(step.ScheduledProcedureStepStartTime) == 6
    assert step.ScheduledProcedureStepID == "S1" and step.ScheduledProcedureStepDescription.startswith("Epidural")
    assert item.PatientName == "Doe^Jane" and item.PatientID == "P1" and item.PatientBirthDate == "19600203"
    assert item.PatientSex == "F" and item.AccessionNumber == "A1" and item.RequestedProcedureID == "S1"
    assert item.StudyInstanceUID.startswith("2.25.") and item.StudyInstanceUID.is_valid
    assert item["PatientWeight"].is_empty and item["ReferringPhysicianName"].is_empty
    assert "0x0000" in said and "0xff01" not in said.lower()


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (("PatientID=P2",), ["S2"]),
        (("PatientID=p2",), []),
        (("PatientName=doe*",), ["S1", "S2"]),
        (("PatientName=D?e^J*",), ["S1", "S2"]),
        (("PatientName=*",), ["S1", "S2", "S3"]),
        (("PatientName=Roe^Richard",), ["S3"]),
        (("PatientName=Roe",), []),
        (("AccessionNumber=A3",), ["S3"]),
        ((f"{STEP}Modality=XA",), ["S1", "S3"]),
        ((f"{STEP}Modality=RF",), ["S2"]),
        ((f"{STEP}ScheduledStationAETitle=CARM",), ["S1", "S2"]),
        ((f"{STEP}ScheduledStationAETitle=C*",), ["S1", "S2"]),
        ((f"{STEP}ScheduledPerformingPhysicianName=weiss*",), ["S1", "S2", "S3"]),
        ((f"{STEP}ScheduledProcedureStepStartDate=20991101",), ["S1"]),
        ((f"{STEP}ScheduledProcedureStepStartDate=20991102-",), ["S2", "S3"]),
        ((f"{STEP}ScheduledProcedureStepStartDate=-20991102",), ["S1", "S2"]),
        ((f"{STEP}ScheduledProcedureStepStartDate=20991101-20991102",), ["S1", "S2"]),
        ((f"{STEP}ScheduledProcedureStepStartTime=0800-0930",), ["S1", "S3"]),
        # K.6.1.2.2: both ranges together are one period, from the first at 09 to the last at 0930
        (
            (
                f"{STEP}ScheduledProcedureStepStartDate=20991101-20991103",
                f"{STEP}ScheduledProcedureStepStartTime=0900-0830",
            ),
            ["S1", "S2", "S3"],
        ),
        (
            (
                f"{STEP}ScheduledProcedureStepStartDate=20991101-20991103",
                f"{STEP}ScheduledProcedureStepStartTime=0931-0829",
            ),
            ["S2"],
        ),
        ((f"{STEP}Modality=XA", "PatientName=Doe*"), ["S1"]),
        (("StudyInstanceUID=1.2.3\\1.2.1",), ["S1", "S3"]),
    ],
    ids=lambda value: " ".join(value).replace(STEP, "") if isinstance(value, tuple) else None,
)
async def test_findscu_gets_what_matches(room, ask, keys, found):
    await place(
        room,
        order(1, scheduled_at="2099-11-01T09:30", study_uid="1.2.1"),
        order(2, "Doe^John", scheduled_at="2099-11-02T14:00", modality="RF", study_uid="1.2.2"),
        order(3, "Roe^Richard", scheduled_at="2099-11-03T08:30", station_ae_title="OTHER", study_uid="1.2.3"),
    )
    got, said = await ask(room, f"{STEP}ScheduledProcedureStepID", *keys)
    ids = [each.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID for each in got]
    assert ids == found, said


async def test_an_empty_sequence_key_asks_for_the_whole_step(room, ask):
    await place(room, order())
    [item], _ = await ask(room, "PatientID", "ScheduledProcedureStepSequence")
    assert item.ScheduledProcedureStepSequence[0].ScheduledPerformingPhysicianName == "Weiss^Anna"


async def test_an_order_without_station_is_for_whichever_c_arm_asks(room, ask):
    await place(room, order(station_ae_title=None, modality=None))
    [item], _ = await ask(room, f"{STEP}ScheduledStationAETitle=OEC_ROOM_3", f"{STEP}Modality=RF")
    [step] = item.ScheduledProcedureStepSequence
    assert (step.ScheduledStationAETitle, step.Modality) == ("OEC_ROOM_3", "RF")
    [item], _ = await ask(room, f"{STEP}ScheduledStationAETitle", f"{STEP}Modality")
    [step] = item.ScheduledProcedureStepSequence
    assert (step.ScheduledStationAETitle, step.Modality) == ("CARM", "XA")


@pytest.mark.parametrize("script", NAMES)
async def test_an_item_is_answered_in_its_own_character_set(room, ask, script):
    name, character_set = NAMES[script]
    await place(room, with_dataset(order(name=name), character_set))
    [item], _ = await ask(room, "PatientName", "PatientID", "SpecificCharacterSet=ISO_IR 192")
    assert str(item.PatientName) == name
    answered = item.SpecificCharacterSet
    assert ([answered] if isinstance(answered, str) else list(answered)) == character_set


@pytest.mark.parametrize(
    ("asked", "answered"), [("SpecificCharacterSet=ISO_IR 100", "ISO_IR 100"), ("PatientID", "ISO_IR 192")]
)
async def test_an_order_of_plain_text_is_answered_in_the_asking_ones_set_or_utf8(room, ask, asked, answered):
    await place(room, order(name="Müller^Jörg"))
    [item], _ = await ask(room, "PatientName", asked)
    assert str(item.PatientName) == "Müller^Jörg"
    assert item.SpecificCharacterSet == answered


async def test_one_asks_in_latin_the_next_in_unicode(room, ask):
    await place(room, order(name="Müller^Jörg", physician="Weiß^Zoë"))
    for character_set in ("ISO_IR 100", "ISO_IR 192", "ISO_IR 100"):
        [item], _ = await ask(room, "ScheduledProcedureStepSequence", f"SpecificCharacterSet={character_set}")
        assert item.SpecificCharacterSet == character_set
        assert str(item.ScheduledProcedureStepSequence[0].ScheduledPerformingPhysicianName) == "Weiß^Zoë"


async def test_an_ascii_item_names_no_character_set(room, ask):
    await place(room, order())
    [item], _ = await ask(room, "PatientName", "SpecificCharacterSet=ISO_IR 100")
    assert "SpecificCharacterSet" not in item


@pytest.mark.parametrize(
    ("script", "keys"),
    [
        ("latin", ("SpecificCharacterSet=ISO_IR 100", b"PatientName=M\xfcller*")),
        ("latin", ("PatientName=muller*",)),
        ("latin", ("SpecificCharacterSet=ISO_IR 192", "PatientName=MÜLLER^Jörg".encode())),
        ("japanese", ("PatientName=yamada*",)),
        ("japanese", ("SpecificCharacterSet=ISO_IR 192", "PatientName=山田*".encode())),
        ("japanese", ("SpecificCharacterSet=\\ISO 2022 IR 87", b"PatientName==\x1b$B;3ED\x1b(B^*")),
        ("utf8", ("SpecificCharacterSet=ISO_IR 192", "PatientName=ωμεγα*".encode())),
    ],
)
async def test_a_query_is_read_in_its_own_character_set(room, ask, script, keys):
    name, character_set = NAMES[script]
    spelt = name.replace("Ωmega", "Ωμέγα")
    await place(room, with_dataset(order(name=spelt), character_set), order(2))
    got, said = await ask(room, "PatientID", *(os.fsdecode(key) for key in keys))
    assert [each.PatientID for each in got] == ["P1"], said


async def test_a_key_outside_the_table_is_told_as_unsupported(room, ask):
    await place(room, order(), with_dataset(order(2), EthnicGroup="x", BodyPartExamined="LSPINE"))
    got, said = await ask(room, "PatientID", "BodyPartExamined", "(0009,0010)=PRIVATE")
    assert [each.PatientID for each in got] == ["P1", "P2"], said
    assert [each.get("BodyPartExamined") or "" for each in got] == ["", "LSPINE"]
    assert said.lower().count("0xff01") >= 2


async def test_a_query_of_another_service_is_refused_with_words_and_an_entry(room, ask):
    await place(room, order())
    got, said = await ask(room, "QueryRetrieveLevel=STUDY", "PatientName=Secret*")
    assert not got and "0xa900" in said.lower()
    entry = await room.entry("carm.association", reason="A900")
    assert "Query/Retrieve" in entry["reason"] and "Secret" not in str(room.lines())


@pytest.mark.parametrize(("depth", "status"), [(20, 0xA900), (3000, 0xC000)])
async def test_a_query_nested_without_end_is_refused_with_an_entry(room, monkeypatch, depth, status):
    nested = b"\x40\0\0\1\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * depth
    nested += b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * depth
    monkeypatch.setattr(pynetdicom.association, "encode", lambda *_: nested)
    answers = await asyncio.to_thread(_find, room.port, _keys(PatientID=""))
    assert [status for status, _ in answers] == [status]
    assert await room.entry("carm.association", outcome="failed", reason=f"C-FIND answered {status:04X}")


async def test_more_matches_than_the_limit_end_in_out_of_resources(room, scu):
    await place(room, *(order(n) for n in range(205)))
    answers = await asyncio.to_thread(_find, room.port, _keys(PatientID=""))
    assert [status for status, _ in answers].count(0xFF00) == 200
    assert answers[-1][0] == 0xA700


async def test_the_peer_can_cancel(room):
    await place(room, *(order(n) for n in range(150)))
    answers = await asyncio.to_thread(_find, room.port, _keys(PatientID="", ScheduledProcedureStepSequence=[]), True)
    assert answers[-1][0] == 0xFE00
    assert len(answers) < 150


@pytest.mark.parametrize(
    "dataset",
    [
        '{"00100020": {"vr": "LO", "Value": [3]}, "00101030": {"vr": "DS", "Value": ["heavy"]}}',
        '{"00100010": {"vr": "PN", "Value": ["x"]}, "0020000D": {"vr": "UI", "Value": [{"a": 1}]}}',
        '{"00400100": {"vr": "SQ", "Value": [3]}, "00080005": {"vr": "CS", "Value": ["KLINGON"]}}',
        '{"00400100": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": [null, 7]}}]}}',
        '{"00400100": {"vr": "LO", "Value": ["x"]}, "00100030": {"vr": "DA", "BulkDataURI": "http://x"}}',
        '{"00101000": {"vr": "LO", "Value": [["a"]]}, "00100040": {"vr": "CS", "InlineBinary": "AAAA"}}',
    ],
)
async def test_an_order_with_a_data_set_of_nonsense_hides_no_other(room, ask, dataset):
    await place(room, order(1, dataset=dataset), order(2))
    got, said = await ask(room, *RETURN_KEYS, "(0010,1000)")
    names = [str(each.PatientName) for each in got]
    assert len(names) == 2 and names[1] == "Doe^Jane", said


async def test_the_offer_outlives_the_listener(room, ask):
    await place(room, order())
    os.kill(room.service.listener_pid, 9)
    async with asyncio.timeout(15):
        while room.service.address:
            await asyncio.sleep(0.01)
        while not room.service.address:
            await asyncio.sleep(0.01)
    [item], _ = await ask(room, "PatientID")
    assert item.PatientID == "P1"


def _keys(**keys: Any) -> Dataset:
    query = Dataset()
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def _find(port: int, query: Dataset, cancel: bool = False) -> list[tuple[int, Dataset | None]]:
    ae = AE("CARM")
    ae.add_requested_context(ModalityWorklistInformationFind)
    association = ae.associate("127.0.0.1", port, ae_title="ESI_ROOM")
    assert association.is_established
    try:
        answers = []
        for status, item in association.send_c_find(query, ModalityWorklistInformationFind, msg_id=7):
            answers.append((status.Status, item))
            if cancel:
                association.send_c_cancel(7, query_model=ModalityWorklistInformationFind)
                cancel = False
        return answers
    finally:
        association.release()


# --- the rules, without a network --------------------------------------------------------------------------


def matches(query: Dataset, item: Dataset) -> bool:
    return matching.answer(matching.read(query), item) is not None


@pytest.mark.parametrize(
    ("asked", "name", "fits"),
    [
        ("山田^太郎", "Yamada^Tarou=山田^太郎", True),
        ("=山田*", "Yamada^Tarou=山田^太郎", True),
        ("Doe^Jane^^^", "Doe^Jane", True),
        ("DOE ^ jane", "Doe^Jane", True),
        ("D[o]e*", "Doe^Jane", False),
        ("ﾔﾏﾀﾞ^*", "ヤマダ^タロウ", True),
        ("か*", "がが", False),
    ],
)
def test_names(asked, name, fits):
    assert matches(_keys(PatientName=asked), _keys(PatientName=name)) is fits


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize(
    ("asked", "time", "fits"),
    [
        ("0930", "093000", True),
        ("10:30", "103000.000000", True),
        ("09-10", "105959", True),
        ("09-10", "110000", False),
        ("-0930", "093059.5", True),
        ("0931-", "093000", False),
    ],
)
def test_times(asked, time, fits):
    key, item = Dataset(), _keys(StudyTime=time)
    key.add_new("StudyTime", "TM", asked)
    assert matches(key, item) is fits


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("asked", ["yesterday", "2026-11-23", "-", "20261123-20261124-20261125", "202611"])
def test_what_is_no_date_is_refused_without_its_value(asked):
    query = Dataset()
    query.add_new("StudyDate", "DA", asked)
    with pytest.raises(BadQuery, match=r"^StudyDate is neither one value nor a range$") as refused:
        matching.read(query)
    assert refused.value.status == 0xA900


def test_an_unknown_value_matches_universal_keys_alone():
    assert matches(_keys(AccessionNumber=""), Dataset())
    assert matches(_keys(AccessionNumber="*"), Dataset())
    assert not matches(_keys(AccessionNumber="?*"), Dataset())
    assert not matches(_keys(AccessionNumber="A1"), Dataset())


def test_a_sequence_answers_the_items_that_match():
    def codes(*values: str) -> Items:
        return Items([_keys(CodeValue=value) for value in values])

    item = _keys(RequestedProcedureCodeSequence=codes("ESI", "MRI"))
    query = _keys(RequestedProcedureCodeSequence=codes("M*"))
    answer = matching.answer(matching.read(query), item)
    assert answer is not None
    assert [code.CodeValue for code in answer.RequestedProcedureCodeSequence] == ["MRI"]
    assert not matches(_keys(RequestedProcedureCodeSequence=codes("CT")), item)
    with pytest.raises(BadQuery, match="more than one item"):
        matching.read(_keys(RequestedProcedureCodeSequence=codes("A", "B")))


def test_an_order_survives_the_way_through_dicom():
    plain = order(scheduled_at="2026-11-23T09:30:00", study_uid="1.2.3", requested_procedure_id="R1")
    [back] = items.orders_of(items.item(plain))
    assert back == Order(
        **{name: getattr(plain, name) for name in plain.__struct_fields__ if name != "dataset"}
        | {"dataset": back.dataset}
    )
    assert items.item(back) == items.item(plain)


@pytest.mark.parametrize("dataset", ["", "[]", "{", '{"00100010": {"vr": "SQ", "Value": [3]}}', '{"zz": {}}', "null"])
def test_a_data_set_that_is_none_leaves_the_plain_fields(dataset):
    item = items.item(order(dataset=dataset))
    assert item.PatientName == "Doe^Jane" and item.ScheduledProcedureStepSequence[0].Modality == "XA"


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\\"), max_size=20) | st.sampled_from(
    ["*", "?", "2026-", "-0900", "[!", "20261123-20261124", "*" * 40 + "x", "=", "^=^"]
)
_leaves = st.sampled_from(
    ["PatientName", "PatientID", "StudyDate", "StudyTime", "StudyInstanceUID", "Modality", "PatientWeight", "Allergies"]
)


def _dataset(pairs: Sequence[tuple[str, str]], step: Sequence[tuple[str, str]]) -> Dataset:
    dataset = Dataset()
    for keyword, text in pairs:
        dataset.add_new(keyword, "LO" if keyword == "PatientWeight" else items.dictionary_VR(keyword), text)
    if step:
        dataset.add_new("ScheduledProcedureStepSequence", "SQ", Items([_dataset(step, ())]))
    return dataset


_pairs = st.lists(st.tuples(_leaves, _texts), max_size=4)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_pairs, _pairs, _pairs, _pairs)
def test_matching_never_raises(query, query_step, item, item_step):
    try:
        keys = matching.read(_dataset(query, query_step))
    except BadQuery:
        return
    held = _dataset(item, item_step)
    answer = matching.answer(keys, held)
    matching.unsupported(keys, held)
    if answer is not None:
        items.write_in(answer, "ISO_IR 100")
        assert {key.tag for key in keys} <= {int(element.tag) for element in answer}


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.builds(lambda head, tail: head + tail, st.just(b"\x10\0\x10\0PN\x04\0Doe "), st.binary())
)
def test_an_identifier_of_any_octets_is_read_or_refused(octets):
    from io import BytesIO

    try:
        identifier = decode(BytesIO(octets), False, True)
    except Exception:
        return  # pynetdicom's event raises the same inside the handler: see `Worklist.find`
    try:
        keys = matching.read(identifier)
    except BadQuery as bad:
        assert bad.status in (0xA900, 0xC000)
    else:
        matching.answer(keys, Dataset())


def test_a_pattern_of_many_stars_costs_no_time():
    assert not matches(_keys(Allergies="*a" * 25 + "b"), _keys(Allergies="a" * 60))
