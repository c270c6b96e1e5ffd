"""Who is the same patient, spelt as systems spell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esi_room.carm.identity import against_all, compared, differences, identity_of, names_somebody, same_name, severity
from esi_room.carm.shapes import Patient
from esi_room.commands import Identity


def patient(name: str | None = None, id: str | None = None, birth_date: str | None = None) -> Patient:  # noqa: A002
    return Patient(name=name, id=id, birth_date=birth_date)


ERIKA = patient("Mustermann^Erika", "4711", "19600203")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mustermann^Erika", "MUSTERMANN^ERIKA"),
        ("Mustermann^Erika", "Erika Mustermann"),
        ("Mustermann^Erika", "Mustermann, Erika"),
        ("Mustermann^Erika^^^", "Mustermann^Erika "),
        ("Mustermann^Erika^^Dr.^MD", "Mustermann^Erika"),
        ("Dr. Erika Mustermann", "Mustermann^Erika"),
        ("Mustermann^Erika^Maria", "Mustermann^Erika"),
        ("Mustermann^E", "Mustermann^Erika"),
        ("Müller^Jörg", "Mueller^Joerg"),
        ("Müller^Jörg", "MULLER^JORG"),
        ("Groß^Søren", "GROSS^SOEREN"),
        ("Łukasz^Dvořák", "lukasz^dvorak"),
        ("van den Berg^Jan", "VandenBerg^Jan"),
        ("O'Neill^Sean", "ONeill^Sean"),
        ("Morrison-Jones^Susan", "MORRISON JONES^SUSAN"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "YAMADA^TAROU"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田^太郎"),
        ("=山田^太郎", "Yamada^Taro=山田^太郎"),
        ("Cher", "CHER"),
    ],
)
def test_one_name_as_two_systems_write_it(one, other):
    assert same_name(one, other) is True
    assert same_name(other, one) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mustermann^Erika", "Mustermann^Max"),
        ("Mustermann^Erika", "Musterfrau^Erika"),
        ("Doe^John", "Doe^Jane"),
        ("Doe^J", "Doe^Karl"),
        ("山田^太郎", "山田^花子"),
        ("Doe", "Miller^Ann"),
    ],
)
def test_two_names(one, other):
    assert same_name(one, other) is False
    assert same_name(other, one) is False


@pytest.mark.parametrize(
    ("one", "other"), [("Doe", "Doe^John"), ("山田^太郎", "Yamada^Tarou"), ("", "Doe"), ("^^", "A")]
)
def test_names_that_cannot_be_compared(one, other):
    assert same_name(one, other) is None


@pytest.mark.parametrize(
    ("said", "verdict", "differs"),
    [
        (ERIKA, "match", ()),
        (patient("MUSTERMANN^ERIKA", " 004711 ", "1960.02.03"), "match", ()),
        (patient("Erika Mustermann", None, "1960-02-03"), "match", ()),
        (patient(None, "47-11"), "match", ()),
        (patient("Mustermann^Erika"), "unknown", ()),
        (patient(), "unknown", ()),
        (patient("", "", ""), "unknown", ()),
        (patient("Mustermann^Erika", "4712", "19600203"), "mismatch", ("PatientID",)),
        (patient("Mustermann^Max", "4711", "19600203"), "mismatch", ("PatientName",)),
        (patient("Mustermann^Max", None, "19610203"), "mismatch", ("PatientName", "PatientBirthDate")),
        (patient("Mustermann^Erika", "4711", "19600230000"), "match", ()),
    ],
)
def test_verdict(said, verdict, differs):
    found = compared(said, ERIKA)
    assert (found.verdict, found.differs) == (verdict, differs)


def test_another_patient_is_worse_than_another_spelling():
    assert severity(compared(patient("Mustermann^Erica", "4711"), ERIKA).differs) == "high"
    assert severity(compared(patient("Mustermann^Erika", "4712"), ERIKA).differs) == "critical"
    assert severity(compared(patient("Doe^Jane", None, "19700101"), ERIKA).differs) == "critical"


def test_ids_of_zeros_are_ids():
    assert compared(patient(id="000"), patient(id="0")).verdict == "match"
    assert compared(patient(id="000"), patient(id="7")).verdict == "mismatch"


def test_whoever_differs_from_one_differs():
    other = patient("Doe^Jane", "99")
    found = against_all(ERIKA, [ERIKA, other])
    assert (found.verdict, found.differs) == ("mismatch", ("PatientID", "PatientName"))
    assert against_all(ERIKA, []).verdict == "unknown"
    assert against_all(ERIKA, [patient(), ERIKA]).verdict == "match"


def test_what_a_device_says_becomes_what_the_room_keeps():
    assert identity_of(ERIKA) == Identity(name="Mustermann^Erika", id="4711", birth_date="1960-02-03")
    assert identity_of(patient(id="EMERGENCY 7")) == Identity(name="EMERGENCY 7", id="EMERGENCY 7")
    assert identity_of(patient(birth_date="19600203")) is None
    assert differences(Identity(name="Doe^John"), Identity(name="Doe^Jane")) == ("PatientName",)
    assert not names_somebody(patient("^^", " ", "unknown"))


@given(*(st.builds(patient, *(st.none() | st.text(max_size=30),) * 3) for _ in range(2)))
def test_any_two_can_be_compared_either_way_round(one, other):
    assert compared(one, other) == compared(other, one)
    assert compared(one, one).differs == ()
