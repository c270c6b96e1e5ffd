"""What gives a patient away, and what does not."""

from __future__ import annotations

import pytest

from esi_room.commands import Identity
from esi_room.procedure.discretion import giving_away

PATIENT = Identity(name="Ward^Li Marie", id="MRN-47.11", birth_date="1960-02-03")


@pytest.mark.parametrize(
    "text",
    ["Mrs. Ward called", "WARD", "marie is better", "see mrn: MRN-47.11", "MRN-47.11", "born 1960-02-03.", "(Ward)"],
)
def test_names_and_numbers(text):
    assert giving_away(PATIENT, {"reason": "none", "text": text}) == ["text"]


@pytest.mark.parametrize(
    "text", ["ward", "back to Warden", "limit of 2", "Li", "MRN-47.112", "XMRN-47.11", "11960-02-03"]
)
def test_coded_words_short_names_and_other_words_stay(text):
    assert giving_away(PATIENT, {"text": text}) == []


def test_every_place_is_looked_at_and_named():
    fields = {"told": ["benefit", "Marie W."], "fields": {"text": "Ward"}, "n": 3, "none": None}
    assert giving_away(PATIENT, fields) == ["fields.text", "told"]


def test_a_colleague_may_have_the_patients_name():
    assert giving_away(PATIENT, {"team": ["Dr. A", "Marie W."], "fields": {"witness": "Nurse Ward"}}) == []


def test_a_patient_of_whom_only_the_name_is_known():
    assert giving_away(Identity(name="Doe^Jane"), {"text": "Jane fell", "name": "None"}) == ["text"]


def test_how_deep_it_goes_is_the_senders_choice():
    deep: object = "Ward"
    for _ in range(5000):
        deep = [deep]
    assert giving_away(PATIENT, {"text": deep}) == ["text"]
