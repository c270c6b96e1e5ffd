"""What the staff say: every form has examples that hold and some that are refused in words; every number has its unit;
and every field of the clinical table has its place."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec import inspect

from esi_room import nomenclature
from esi_room.commands import Identity, Order
from esi_room.events import BY_TYPE, FORMS, Entry
from esi_room.events.clinical import ALL, Clinical, Component, words
from esi_room.events.clinical.anytime import WHEREABOUTS_DCM, Whereabouts
from esi_room.events.wording import in_words

CLINICAL = Path(__file__).parents[3] / "shared" / "clinical.md"  # beside the project, where it is worked on

STEROID = {
    "drug": "triamcinolone",
    "volume_ml": 2,
    "name": "Triam 40",
    "concentration": 40,
    "concentration_unit": "mg/mL",
    "dose": 80,
    "dose_unit": "mg",
    "lot": "TR-5521",
    "expires": "2027-01-31",
    "particulate": True,
}
IOHEXOL = {"drug": "iohexol", "volume_ml": 2, "concentration": 240, "concentration_unit": "mg{I}/mL"}

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "assessment": [
        {"weight_kg": 72},
        {
            "weight_kg": 72.5,
            "pregnant": "not_applicable",
            "infection": "no",
            "diabetes": "yes",
            "glucose_mg_dl": 140,
            "nil_by_mouth_h": 6,
            "escort": "yes",
            "earlier_vasovagal": "unknown",
        },
    ],
    "indication": [
        {"diagnosis": "Radiculopathy L5 left"},
        {
            "diagnosis": "Radiculopathy L5 left",
            "icd10": "M54.16",
            "symptoms": ["radicular_pain", "numbness"],
            "duration_weeks": 17,
            "side": "left",
            "levels": ["L4/5"],
        },
    ],
    "prior_imaging": [
        {"modality": "none", "reviewed": False},
        {"modality": "MR", "date": "2026-10-12", "reviewed": True, "epidural_space": "narrowed", "level": "L4/5"},
    ],
    "pain": [
        {"occasion": "baseline", "score": 7, "scale": "NRS"},
        {"occasion": "after", "score": 2.5, "scale": "VAS", "relief_pct": 70},
    ],
    "earlier_injections": [
        {"sessions_12_months": 0, "ever": False},
        {
            "sessions_12_months": 1,
            "last_date": "2026-06-01",
            "last_approach": "caudal",
            "last_levels": ["sacral_hiatus"],
            "relief_pct": 60,
            "relief_weeks": 14,
            "ever": True,
        },
    ],
    "allergies": [{"none": True}, {"known": [{"substance": "contrast", "name": "iohexol", "reaction": "severe"}]}],
    "anticoagulants": [
        {"none": True, "decision": "proceed"},
        {
            "drugs": [{"drug": "apixaban", "last_dose": "2026-11-20T08:00:00Z"}],
            "inr": 1.1,
            "decision": "stopped_in_time",
            "decided_by": "Dr. A",
        },
    ],
    "consent": [{"given": True}, {"given": True, "by": "representative", "written": False, "told": ["risks"]}],
    "sign_in": [
        {"identity": True, "consent": True, "allergies": False},
        {"identity": True, "consent": True, "allergies": True, "site_marked": True},
    ],
    "time_out": [
        {
            "identity": True,
            "procedure": True,
            "approach": "transforaminal",
            "side": "both",
            "levels": ["L5/S1", "S1"],
            "site_marked": True,
            "team": ["Dr. A", "Nurse B"],
        }
    ],
    "sign_out": [{"procedure_recorded": True, "sharps_complete": True}],
    "positioning": [
        {
            "position": "prone",
            "skin_preparation": "chlorhexidine_alcohol",
            "draped": True,
            "mask": True,
            "sterile_gloves": True,
        }
    ],
    "monitoring": [{"connected": ["ecg", "spo2", "nibp", "etco2"]}],
    "iv_access": [{"placed": False}, {"placed": True, "site": "left hand", "gauge_g": 20}],
    "sedation": [{"level": "none"}, {"level": "moderate"}],
    "drawn_up": [
        {"syringe": "A", "components": [STEROID, {"drug": "sodium_chloride", "volume_ml": 4}]},
        {"syringe": "B", "components": [STEROID], "pump": "pump-1", "drawn_up_by": "Nurse B", "checked_by": "Dr. A"},
    ],
    "drug_given": [
        {
            "component": {"drug": "lidocaine", "volume_ml": 3, "concentration": 1, "concentration_unit": "%"},
            "route": "skin",
        },
        {"component": {"drug": "other", "name": "oxygen", "volume_ml": 1}, "route": "oral", "syringe": "B"},
    ],
    "drug_discarded": [{"syringe": "A", "volume_ml": 1}, {"syringe": "A", "volume_ml": 0.5, "witness": "Dr. A"}],
    "approach": [
        {"approach": "interlaminar", "side": "midline", "levels": ["C7/T1"]},
        {"approach": "caudal", "side": "midline", "levels": ["sacral_hiatus"]},
        {"approach": "transforaminal", "side": "left", "levels": ["L5/S1", "S1"]},
    ],
    "needle": [
        {"action": "removed"},
        {
            "action": "placed",
            "kind": "tuohy",
            "gauge_g": 20,
            "length_mm": 90,
            "level": "L4/5",
            "side": "left",
            "attempts": 2,
        },
    ],
    "loss_of_resistance": [
        {"obtained": False, "medium": "air"},
        {"obtained": True, "medium": "saline", "depth_mm": 68, "attempts": 1},
    ],
    "aspiration": [{"result": "negative"}, {"result": "csf", "level": "L5/S1", "side": "left"}],
    "contrast": [
        {"given": False, "reason": "allergy"},
        {"given": True, "component": IOHEXOL, "imaging": "dsa", "spread": ["epidural", "nerve_root"]},
        {
            "given": True,
            "component": IOHEXOL,
            "imaging": "live_fluoroscopy",
            "uptake": ["vascular"],
            "action": "repositioned",
            "level": "L5/S1",
            "side": "left",
        },
    ],
    "view": [{"projection": "ap"}, {"projection": "lateral", "contrast": True, "sop_instance_uid": "1.2.840.1"}],
    "hand_injection": [
        {"state": "begin"},
        {
            "state": "begin",
            "syringe": "A",
            "drug": "dexamethasone",
            "route": "epidural",
            "level": "L4/5",
            "side": "left",
        },
        {"state": "end", "volume_ml": 3},
    ],
    "injection_pressure": [{"pressure_mmhg": 190, "method": "inline_manometer"}],
    "sensation": [{"kind": "paraesthesia"}, {"kind": "pressure", "side": "left", "action": "paused"}],
    "closure": [
        {"haemostasis": True, "dressing": True},
        {"haemostasis": True, "dressing": True, "needle_complete": True},
    ],
    "complication": [
        {"kind": "vasovagal", "severity": "mild"},
        {"kind": "other", "name": "hiccup", "severity": "mild", "action": "water", "resolved": True},
    ],
    "motor_sensory": [
        {"motor": "normal", "sensory": "normal", "bromage": 0},
        {"motor": "reduced", "sensory": "absent", "side": "left", "bromage": 1},
    ],
    "padss": [
        {"vital_signs": 2, "activity": 2, "nausea_vomiting": 2, "pain": 1, "bleeding": 2},
        {"vital_signs": 2, "activity": 2, "nausea_vomiting": 2, "pain": 1, "bleeding": 2, "total": 9},
    ],
    "instructions": [
        {"written": True},
        {"written": True, "restrictions": ["no_driving_24h", "rest"], "emergency_contact": True},
    ],
    "discharge": [{"to": "home", "escort": True}],
    "follow_up_plan": [
        {"due": "2026-12-07", "contact": "phone"},
        {"due": "2026-12-07", "contact": "visit", "next_appointment": "2027-01-11"},
    ],
    "follow_up": [
        {"date": "2026-12-07", "contact": "phone", "reached": False},
        {
            "date": "2026-12-07",
            "contact": "phone",
            "pain_score": 3,
            "pain_scale": "NRS",
            "relief_pct": 50,
            "relief_duration_days": 12,
            "symptoms": ["radicular_pain"],
            "complications": ["headache"],
            "next_appointment": "2027-01-11",
        },
    ],
    "sign_off": [{"signer": "Dr. A", "meaning": "author"}],
    "note": [{"text": "tolerated well"}],
    "patient": [{"state": "in_the_room"}],
    "correction": [
        {"seq": 17, "reason": "slip", "fields": {"score": 6}},
        {"seq": 17, "reason": "other patient", "withdrawn": True},
    ],
}

CASES = [(name, example) for name, examples in EXAMPLES.items() for example in examples]


def filled(name: str, fields: dict[str, Any]) -> Clinical:
    return msgspec.json.decode(msgspec.json.encode({"actor": "Dr. A", **fields}), type=FORMS[name])


def what_is_wrong(name: str, fields: dict[str, Any]) -> str:
    """In the room's words; empty where it holds."""
    try:
        return "; ".join(filled(name, fields).problems())
    except msgspec.ValidationError as error:
        return in_words(error, FORMS[name])


# --- what holds -------------------------------------------------------------------------------------------------------


def test_every_form_has_an_example_and_every_field_stands_in_one() -> None:
    assert set(EXAMPLES) == set(FORMS)
    for name, form in FORMS.items():
        shown = {field for example in EXAMPLES[name] for field in example}
        assert shown | {"actor"} == set(form.__struct_fields__), name


@pytest.mark.parametrize(("name", "fields"), CASES, ids=[name for name, _ in CASES])
def test_what_holds_is_taken_and_read_back_as_it_was_written(name: str, fields: dict[str, Any]) -> None:
    form = filled(name, fields)
    assert list(form.problems()) == []
    assert msgspec.json.decode(msgspec.json.encode(form), type=FORMS[name]) == form
    assert (form.actor, form.TYPE) == ("Dr. A", f"clinical.{name}")


@pytest.mark.parametrize("name", FORMS)
def test_a_form_says_what_it_is_for(name: str) -> None:
    assert (FORMS[name].__doc__ or "").strip().endswith((".", ")"))
    assert f"clinical.{name}" in BY_TYPE


def test_codes_are_those_of_the_procedure_log() -> None:
    """PS3.16 CID 3402, 3409 and 3410, as the clinical table has them."""
    codes = {
        form.TYPE: msgspec.to_builtins(filled(name, EXAMPLES[name][0])).get("code") for name, form in FORMS.items()
    }
    assert {kind: code for kind, code in codes.items() if code} == {
        "clinical.consent": "DCM 122004",
        "clinical.positioning": "DCM 122008",
        "clinical.monitoring": "DCM 122009",
        "clinical.drug_given": "DCM 122083",
        "clinical.contrast": "DCM 122086",
        "clinical.closure": "DCM 122033",
        "clinical.instructions": "DCM 122036",
        "clinical.discharge": "DCM 122037",
        "clinical.drug_discarded": "DCM 122096",
    }
    assert set(WHEREABOUTS_DCM) == set(get_args(Whereabouts))
    assert set(words.DISC_SCT) < set(get_args(words.Level))


@pytest.mark.parametrize(
    ("level", "region"),
    [
        ("C2/3", "cervical"),
        ("C7/T1", "cervical"),
        ("T1/2", "thoracic"),
        ("T12/L1", "thoracic"),
        ("L1/2", "lumbar"),
        ("L5/S1", "lumbar"),
        ("S1", "sacral"),
        ("sacral_hiatus", "sacral"),
    ],
)
def test_the_region_of_a_level(level: str, region: str) -> None:
    assert words.region_of(level) == region
    assert all(words.region_of(each) in get_args(words.Region) for each in get_args(words.Level))


def test_the_kinds_of_drugs_do_not_overlap() -> None:
    kinds = [words.STEROIDS, words.LOCAL_ANAESTHETICS, words.CONTRAST_AGENTS, words.DILUENTS, words.OF_THE_VEIN]
    assert sum(map(len, kinds)) == len(frozenset().union(*kinds))
    assert frozenset().union(*kinds) | {"other", "fentanyl"} == set(get_args(words.Drug))
    assert words.PARTICULATE < words.STEROIDS
    assert not words.NO_INJECTATE & (words.STEROIDS | words.LOCAL_ANAESTHETICS)


# --- what is refused --------------------------------------------------------------------------------------------------

LONG = "x" * 1_000_000
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("assessment", {}, 'nothing is said: fill in what is known, for instance {"weight_kg": 72}'),
    ("assessment", {"weight_kg": 720}, "weight_kg does not fit: a number from 2 to 400, kg"),
    ("assessment", {"weight_kg": "72"}, "weight_kg does not fit: a number"),
    (
        "assessment",
        {"glucose_mg_dl": 5.6},
        "glucose_mg_dl does not fit: a number from 10 to 1500, mg/dL",
    ),  # it was mmol/L
    ("assessment", {"pregnant": "maybe"}, "pregnant cannot be 'maybe': one of no, not_applicable, unknown, yes"),
    ("assessment", {"nil_by_mouth_h": -1}, "from 0 to 2000, hours"),
    ("indication", {}, "diagnosis is missing"),
    ("indication", {"diagnosis": " "}, "a text that is not blank"),
    ("indication", {"diagnosis": "x", "levels": ["L6/7"]}, "levels[0] cannot be 'L6/7': one of C2/3, "),
    ("prior_imaging", {"modality": "none"}, "there is no imaging (modality none), so it cannot be reviewed"),
    ("prior_imaging", {"modality": "MR", "date": "2026-02-30"}, "date '2026-02-30' is no date of the calendar"),
    ("prior_imaging", {"modality": "MR", "date": "12.10.2026"}, "date does not fit: YYYY-MM-DD"),
    ("pain", {"occasion": "baseline", "score": 11, "scale": "NRS"}, "a number from 0 to 10"),
    ("pain", {"occasion": "baseline", "score": 7}, "scale is missing: one of FACES, NRS, VAS, VRS"),
    (
        "pain",
        {"occasion": "baseline", "score": 7, "scale": "NRS", "relief_pct": 5},
        "relief_pct is asked for afterwards",
    ),
    ("pain", {"occasion": "after", "score": True, "scale": "NRS"}, "score does not fit: a number"),
    ("earlier_injections", {"sessions_12_months": 2, "ever": False}, "ever says that there were none"),
    ("earlier_injections", {"sessions_12_months": 0, "ever": False, "last_date": "2020-01-01"}, "ever says"),
    ("earlier_injections", {"sessions_12_months": 0, "last_date": "2020-13-01"}, "no date of the calendar"),
    ("earlier_injections", {"sessions_12_months": 1.5}, "a whole number from 0 to 100"),
    ("allergies", {}, 'say {"none": true}, or name each in known'),
    ("allergies", {"none": True, "known": [{"substance": "latex"}]}, "none is true, and known names some"),
    (
        "allergies",
        {"known": [{"substance": "contrast", "severity": "mild"}]},
        "there is no field severity in known[0]: its fields are substance",
    ),
    ("anticoagulants", {"decision": "proceed"}, 'say {"none": true}, or name each in drugs'),
    ("anticoagulants", {"decision": "proceed", "none": True, "drugs": [{"drug": "ASS"}]}, "drugs names some"),
    ("anticoagulants", {"decision": "bridged", "none": True}, "none is true, so that nothing was bridged"),
    (
        "anticoagulants",
        {"decision": "proceed", "drugs": [{"drug": "ASS", "last_dose": "2026-11-31T08:00:00Z"}]},
        "last_dose '2026-11-31T08:00:00Z' is no moment",
    ),
    (
        "anticoagulants",
        {"decision": "proceed", "drugs": [{"drug": "ASS", "last_dose": "yesterday"}]},
        "RFC 3339, with a zone",
    ),
    ("anticoagulants", {"decision": "proceed", "none": True, "inr": 25}, "from 0.5 to 20"),
    ("consent", {"given": "yes"}, "given does not fit: true or false"),
    ("time_out", EXAMPLES["time_out"][0] | {"levels": []}, "levels does not fit: a list of 1 at least"),
    ("time_out", EXAMPLES["time_out"][0] | {"side": "midline"}, "no foramen in the midline"),
    ("time_out", EXAMPLES["time_out"][0] | {"approach": "interlaminar"}, "no interlaminar window in the sacrum"),
    ("monitoring", {"connected": []}, "connected is empty"),
    ("iv_access", {"placed": False, "gauge_g": 20}, "placed is false, and site or gauge_g tell of a cannula"),
    ("iv_access", {"placed": True, "gauge_g": 8}, "a whole number from 14 to 32, gauge"),
    ("drawn_up", {"syringe": "A", "components": []}, "components is empty: name each drug and its volume"),
    ("drawn_up", {"syringe": "A B", "components": [STEROID]}, "A-Z a-z 0-9 _ -"),
    ("drawn_up", {"syringe": "A", "components": [STEROID | {"volume_ml": 0}]}, "a number above 0 to 100, mL"),
    (
        "drawn_up",
        {"syringe": "A", "components": [STEROID | {"volume_ml": 200}]},
        "components[0].volume_ml does not fit",
    ),
    (
        "drawn_up",
        {"syringe": "A", "components": [STEROID | {"lott": "X"}]},
        "there is no field lott in components[0]: did you mean lot?",
    ),
    ("drug_given", {"component": {"drug": "other", "volume_ml": 1}, "route": "oral"}, "say in name what it is"),
    ("drug_given", {"component": IOHEXOL, "route": "intrathecal"}, "route cannot be 'intrathecal': one of epidural, "),
    ("drug_discarded", {"syringe": "A", "volume_ml": -1}, "above 0"),
    ("approach", {"approach": "caudal", "side": "midline", "levels": ["L5/S1"]}, 'levels ["sacral_hiatus"]'),
    (
        "approach",
        {"approach": "interlaminar", "side": "left", "levels": ["S1"]},
        "no interlaminar window in the sacrum",
    ),
    ("approach", {"approach": "transforaminal", "side": "left", "levels": ["sacral_hiatus"]}, "is no foramen"),
    ("approach", {"approach": "transforaminal", "side": "midline", "levels": ["L4/5"]}, "no foramen in the midline"),
    (
        "needle",
        {"action": "placed", "gauge_g": 90, "length_mm": 20},
        "gauge_g does not fit: a whole number from 14 to 32",
    ),  # the wrong way round
    ("needle", {"action": "pushed"}, "action cannot be 'pushed': one of placed, removed, repositioned"),
    ("loss_of_resistance", {"obtained": True, "medium": "saline", "depth_mm": 6800}, "from 1 to 250, mm"),
    ("aspiration", {"result": "none"}, "one of blood, csf, negative"),
    ("contrast", {"given": True}, "contrast was given: say the agent in component, and in imaging how it was watched"),
    ("contrast", {"given": True, "component": IOHEXOL}, "in imaging how it was watched"),
    ("contrast", {"given": True, "component": STEROID, "imaging": "dsa"}, "triamcinolone is no contrast agent"),
    ("contrast", {"given": False, "spread": ["epidural"]}, "contrast was not given: leave out what it showed"),
    ("contrast", {"given": False, "action": "none"}, "contrast was not given"),
    ("contrast", EXAMPLES["contrast"][2] | {"action": None}, "uptake was seen: say in action what was done"),
    ("view", {"projection": "ap", "sop_instance_uid": "not a uid"}, "a DICOM UID"),
    ("hand_injection", {"state": "end"}, "an injection that ended has a volume_ml"),
    ("hand_injection", {"state": "begin", "volume_ml": 3}, "volume_ml is said with state end"),
    ("injection_pressure", {"pressure_mmhg": 15_000, "method": "other"}, "from 0 to 5000, mmHg"),
    ("complication", {"kind": "other", "severity": "mild"}, "kind is other: say in name what it is"),
    ("motor_sensory", {"motor": "normal", "sensory": "normal", "bromage": 2}, "who moves freely has Bromage 0"),
    ("motor_sensory", {"motor": "absent", "sensory": "normal", "bromage": 0}, "who moves freely has Bromage 0"),
    ("motor_sensory", {"motor": "normal", "sensory": "normal", "bromage": 4}, "bromage cannot be 4: one of 0, 1, 2, 3"),
    ("padss", EXAMPLES["padss"][1] | {"total": 10}, "the items add up to 9, total says 10"),
    ("padss", EXAMPLES["padss"][0] | {"pain": 3}, "pain does not fit: a whole number from 0 to 2"),
    ("discharge", {"to": "house", "escort": True}, "one of emergency, home, other, ward"),
    ("follow_up_plan", {"due": "2026-13-01", "contact": "phone"}, "due '2026-13-01' is no date of the calendar"),
    ("follow_up_plan", EXAMPLES["follow_up_plan"][1] | {"next_appointment": "2027-02-29"}, "next_appointment"),
    ("follow_up", {"date": "2026-12-07", "contact": "phone", "pain_score": 3}, "pain_score and pain_scale go together"),
    ("follow_up", EXAMPLES["follow_up"][1] | {"reached": False}, "was not reached, and something is told"),
    ("follow_up", EXAMPLES["follow_up"][1] | {"relief_pct": 150}, "from 0 to 100, %"),
    ("sign_off", {"signer": "Dr. A", "meaning": "seen"}, "one of approval, author, "),
    ("note", {"text": LONG}, "at most 4000 characters"),
    ("note", {"text": ""}, "a text that is not blank"),
    ("note", {"text": " \n\t"}, "a text that is not blank"),
    ("indication", {"diagnosis": LONG}, "at most 200 characters"),
    ("patient", {"state": "asleep"}, "state cannot be 'asleep': one of alert, "),
    ("correction", {"seq": 1, "reason": "slip"}, "say in fields what is right, or withdrawn: true"),
    ("correction", {"seq": 1, "reason": "x", "fields": {"a": 1}, "withdrawn": True}, "say in fields what is right, or"),
    ("correction", {"seq": -1, "reason": "slip", "withdrawn": True}, "a whole number from 0"),
    ("correction", {"seq": 1, "reason": "", "withdrawn": True}, "a text that is not blank"),
]


@pytest.mark.parametrize(("name", "fields", "said"), REFUSED, ids=[f"{name}: {said[:40]}" for name, _, said in REFUSED])
def test_what_does_not_hold_is_refused_with_words(name: str, fields: dict[str, Any], said: str) -> None:
    words_ = what_is_wrong(name, {key: value for key, value in fields.items() if value is not None})
    assert said in words_
    assert len(words_) < 400 and "`" not in words_


@pytest.mark.parametrize(("name", "fields"), CASES, ids=[name for name, _ in CASES])
def test_no_form_takes_what_is_not_of_its_type(name: str, fields: dict[str, Any]) -> None:
    for field in fields:
        for odd in ({"surprise": 1}, [[[]]], 10**30):
            assert what_is_wrong(name, fields | {field: odd}) or name == "correction", (field, odd)


def numbers() -> list[tuple[str, str]]:
    """Every number of every form: form and field."""
    found = []
    for form in (*ALL, Component):
        info = inspect.type_info(form)
        assert isinstance(info, inspect.StructType)
        for field in info.fields:
            kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
            bare = [kind.type if isinstance(kind, inspect.Metadata) else kind for kind in kinds]
            if any(isinstance(kind, inspect.FloatType | inspect.IntType) for kind in bare):
                found.append((form.__name__, field.name))
    return found


NUMBERS = numbers()
STRUCTS = {form.__name__: form for form in (*ALL, Component)}


@pytest.mark.parametrize(("form", "field"), [pair for pair in NUMBERS if pair != ("Padss", "total")])
def test_every_number_has_a_range_that_no_infinity_is_in(form: str, field: str) -> None:
    (wanted,) = (each.type for each in msgspec.structs.fields(STRUCTS[form]) if each.name == field)
    for odd in (math.nan, math.inf, -math.inf, -1e9):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(odd, wanted)


def test_json_knows_no_infinity() -> None:
    for odd in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
        with pytest.raises(msgspec.MsgspecError):
            msgspec.json.decode(
                b'{"actor":"x","score":' + odd + b',"scale":"NRS","occasion":"after"}', type=FORMS["pain"]
            )


# --- units ------------------------------------------------------------------------------------------------------------

UCUM = {
    "ml": "mL",
    "kg": "kg",
    "mmhg": "mm[Hg]",
    "dl": "mg/dL",
    "pct": "%",
    "mm": "mm",
    "weeks": "wk",
    "days": "d",
    "h": "h",
    "score": "{score}",
}
WITHOUT = {
    ("Assessment", "diabetes"),
    ("EarlierInjections", "sessions_12_months"),  # counts
    ("Needle", "attempts"),
    ("LossOfResistance", "attempts"),
    ("Padss", "vital_signs"),  # points
    ("Padss", "activity"),
    ("Padss", "nausea_vomiting"),
    ("Padss", "pain"),
    ("Padss", "bleeding"),
    ("Padss", "total"),
    ("Anticoagulants", "inr"),  # a ratio
    ("Component", "concentration"),  # beside a field of its own for the unit
    ("Component", "dose"),
    ("IvAccess", "gauge_g"),  # no UCUM unit: the name says gauge
    ("Needle", "gauge_g"),
    ("Correction", "seq"),
}


@pytest.mark.parametrize(("form", "field"), NUMBERS)
def test_every_quantity_says_its_unit_in_its_name_and_in_its_schema(form: str, field: str) -> None:
    schema = msgspec.json.schema(STRUCTS[form])
    said = schema["$defs"][form]["properties"][field]
    options = [said, *said.get("anyOf", [])]
    units = {option["x-unit"] for option in options if "x-unit" in option}
    if (form, field) in WITHOUT:
        assert units == set()
    else:
        assert units == {UCUM[field.rpartition("_")[2]]}


# --- doses ------------------------------------------------------------------------------------------------------------


def component(**fields: Any) -> Component:
    return msgspec.convert({"drug": "lidocaine", "volume_ml": 2, **fields}, Component)


@pytest.mark.parametrize(
    ("fields", "dose_mg"),
    [
        ({}, None),
        ({"concentration": 1, "concentration_unit": "%"}, 20),
        ({"concentration": 10, "concentration_unit": "mg/mL"}, 20),
        ({"concentration": 50, "concentration_unit": "ug/mL", "drug": "fentanyl"}, 0.1),
        ({"dose": 20, "dose_unit": "mg"}, 20),
        ({"dose": 100, "dose_unit": "ug", "drug": "fentanyl"}, 0.1),
        ({"dose": 19.5, "dose_unit": "mg", "concentration": 1, "concentration_unit": "%"}, 19.5),
        (IOHEXOL, None),
        ({"drug": "gadolinium_chelate", "dose": 1, "dose_unit": "mmol"}, None),
    ],
)
def test_the_dose_as_said_or_as_it_follows(fields: dict[str, Any], dose_mg: float | None) -> None:
    made = component(**fields)
    assert list(made.problems()) == []
    assert made.dose_mg == (None if dose_mg is None else pytest.approx(dose_mg))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"concentration": 1, "concentration_unit": "%", "dose": 200, "dose_unit": "mg"},
            "lidocaine: 1 % x 2 mL is 20 mg, not 200 mg: correct the dose, the concentration or the volume",
        ),
        ({"concentration": 1, "concentration_unit": "%", "dose": 20.7, "dose_unit": "mg"}, "is 20 mg, not 20.7 mg"),
        ({"concentration": 1, "concentration_unit": "%", "dose": 20, "dose_unit": "ug"}, "is 20 mg, not 0.02 mg"),
        ({"concentration": 1}, "concentration and concentration_unit go together"),
        ({"concentration_unit": "%"}, "concentration and concentration_unit go together"),
        ({"dose": 20}, "dose and dose_unit go together"),
        ({"particulate": True}, "lidocaine is no suspension: particulate cannot be true"),
        ({"drug": "dexamethasone", "particulate": True}, "dexamethasone is no suspension"),
        ({"expires": "2026-02-30"}, "expires '2026-02-30' is no date of the calendar"),
        ({"concentration": 300, "concentration_unit": "mg{I}/mL"}, "lidocaine is not measured in mg{I}: say mg"),
        ({"dose": 1, "dose_unit": "mmol"}, "lidocaine is not measured in mmol: say mg"),
        ({**IOHEXOL, "dose": 2400, "dose_unit": "mg{I}"}, "240 mg{I}/mL x 2 mL is 480 mg{I}, not 2400 mg{I}"),
        ({**IOHEXOL, "dose": 480, "dose_unit": "mg"}, "a dose in mg does not follow from mg{I}/mL"),
        (
            {
                "drug": "gadolinium_chelate",
                "concentration": 0.5,
                "concentration_unit": "mmol/mL",
                "dose": 5,
                "dose_unit": "mmol",
            },
            "is 1 mmol, not 5 mmol",
        ),
    ],
)
def test_a_dose_that_does_not_follow(fields: dict[str, Any], said: str) -> None:
    assert said in "; ".join(component(**fields).problems())


@pytest.mark.parametrize(("dose", "holds"), [(20.6, True), (20.61, False), (19.4, True), (19.39, False)])
def test_labels_are_rounded_by_three_percent(dose: float, holds: bool) -> None:
    made = component(concentration=1, concentration_unit="%", dose=dose, dose_unit="mg")
    assert (not list(made.problems())) == holds


@pytest.mark.parametrize(
    ("fields", "particulate"),
    [
        ({"drug": "triamcinolone"}, True),
        ({"drug": "methylprednisolone"}, True),
        ({"drug": "betamethasone"}, True),
        ({"drug": "betamethasone", "particulate": False}, False),
        ({"drug": "dexamethasone"}, False),
        ({"drug": "lidocaine"}, False),
    ],
)
def test_what_is_in_suspension(fields: dict[str, Any], particulate: bool) -> None:
    assert component(**fields).is_particulate == particulate


# --- the clinical table -----------------------------------------------------------------------------------------------

TABLE: list[tuple[str, str, dict[str, str]]] = [
    # phase, the row as it stands there, and where each of its fields is:
    #   <entry type>.<field>[.<field>][=<word of its list>], entry.<field> of any line, reading <name>;
    #   identity.<field> and order.<field> of the commands `start` and `order`: apart from the journal, on the worklist
    (
        "evaluation",
        "patient, two identifiers, birth date, accession, order (side, level, approach)",
        {
            "patient": "identity.name procedure.started.identity_sha256",
            "two identifiers": "identity.id clinical.sign_in.identity",
            "birth date": "identity.birth_date",
            "accession": "order.accession",
            "order": "procedure.started.plan order.plan",
            "side": "procedure.started.plan.side",
            "level": "procedure.started.plan.levels",
            "approach": "procedure.started.plan.approach",
        },
    ),
    (
        "evaluation",
        "indication, symptoms and their duration, laterality, levels; prior imaging reviewed (modality, date, space at "
        "the level)",
        {
            "indication": "clinical.indication.diagnosis clinical.indication.icd10",
            "symptoms": "clinical.indication.symptoms",
            "duration": "clinical.indication.duration_weeks",
            "laterality": "clinical.indication.side",
            "levels": "clinical.indication.levels",
            "prior imaging reviewed": "clinical.prior_imaging.reviewed",
            "modality": "clinical.prior_imaging.modality",
            "date": "clinical.prior_imaging.date",
            "space at the level": "clinical.prior_imaging.epidural_space clinical.prior_imaging.level",
        },
    ),
    (
        "evaluation",
        "baseline pain score **and the scale used** (the same scale afterwards)",
        {
            "baseline pain score": "clinical.pain.score clinical.pain.occasion=baseline",
            "the scale used": "clinical.pain.scale",
            "the same scale afterwards": "procedure.completeness.lacks",
        },
    ),
    (
        "evaluation",
        "earlier ESIs: date, level, % relief, duration; sessions in 12 months",
        {
            "earlier ESIs": "clinical.earlier_injections.ever",
            "date": "clinical.earlier_injections.last_date",
            "level": "clinical.earlier_injections.last_levels clinical.earlier_injections.last_approach",
            "% relief": "clinical.earlier_injections.relief_pct",
            "duration": "clinical.earlier_injections.relief_weeks",
            "sessions in 12 months": "clinical.earlier_injections.sessions_12_months",
        },
    ),
    (
        "evaluation",
        "allergies (contrast, steroid, local anaesthetic, latex), earlier vasovagal reaction",
        {
            "allergies": "clinical.allergies.known clinical.allergies.none",
            "contrast": "clinical.allergies.known.substance=contrast",
            "steroid": "clinical.allergies.known.substance=steroid",
            "local anaesthetic": "clinical.allergies.known.substance=local_anaesthetic",
            "latex": "clinical.allergies.known.substance=latex",
            "earlier vasovagal reaction": "clinical.assessment.earlier_vasovagal",
        },
    ),
    (
        "evaluation",
        "anticoagulant/antiplatelet: drug, last dose, INR, decision, by whom",
        {
            "anticoagulant/antiplatelet": "clinical.anticoagulants.drugs",
            "drug": "clinical.anticoagulants.drugs.drug",
            "last dose": "clinical.anticoagulants.drugs.last_dose",
            "INR": "clinical.anticoagulants.inr",
            "decision": "clinical.anticoagulants.decision",
            "by whom": "clinical.anticoagulants.decided_by",
        },
    ),
    (
        "evaluation",
        "pregnancy, infection, diabetes/glucose, nil by mouth, escort; consent (who, when)",
        {
            "pregnancy": "clinical.assessment.pregnant",
            "infection": "clinical.assessment.infection",
            "diabetes": "clinical.assessment.diabetes",
            "glucose": "clinical.assessment.glucose_mg_dl",
            "nil by mouth": "clinical.assessment.nil_by_mouth_h",
            "escort": "clinical.assessment.escort",
            "consent": "clinical.consent.given",
            "who": "clinical.consent.by clinical.consent.actor",
            "when": "entry.time",
        },
    ),
    (
        "preparation",
        "sign-in / time-out / sign-out: identity, procedure, side, level, site marked",
        {
            "sign-in": "clinical.sign_in.identity",
            "time-out": "clinical.time_out.identity",
            "sign-out": "clinical.sign_out.procedure_recorded",
            "identity": "clinical.time_out.identity",
            "procedure": "clinical.time_out.procedure clinical.time_out.approach",
            "side": "clinical.time_out.side",
            "level": "clinical.time_out.levels",
            "site marked": "clinical.time_out.site_marked clinical.sign_in.site_marked",
        },
    ),
    (
        "preparation",
        "position, monitoring connected (122009), skin preparation agent, draped (122008), mask and sterile gloves",
        {
            "position": "clinical.positioning.position",
            "monitoring connected (122009)": "clinical.monitoring.connected",
            "skin preparation agent": "clinical.positioning.skin_preparation",
            "draped (122008)": "clinical.positioning.draped",
            "mask": "clinical.positioning.mask",
            "sterile gloves": "clinical.positioning.sterile_gloves",
        },
    ),
    (
        "preparation",
        "IV access; sedation (none, level, drug, dose); skin local anaesthetic: drug, concentration, volume, mg",
        {
            "IV access": "clinical.iv_access.placed clinical.iv_access.site",
            "sedation": "clinical.sedation.level",
            "none": "clinical.sedation.level=none",
            "level": "clinical.sedation.level=moderate",
            "drug": "clinical.drug_given.component.drug=midazolam",
            "dose": "clinical.drug_given.component.dose",
            "skin local anaesthetic": "clinical.drug_given.route=skin",
            "concentration": "clinical.drug_given.component.concentration",
            "volume": "clinical.drug_given.component.volume_ml",
            "mg": "clinical.drug_given.component.dose_unit=mg",
        },
    ),
    (
        "guidance",
        "approach (interlaminar, transforaminal, caudal), side, level(s)",
        {
            "approach": "clinical.approach.approach",
            "interlaminar": "clinical.approach.approach=interlaminar",
            "transforaminal": "clinical.approach.approach=transforaminal",
            "caudal": "clinical.approach.approach=caudal",
            "side": "clinical.approach.side",
            "level(s)": "clinical.approach.levels",
        },
    ),
    (
        "guidance",
        "needle type, gauge (111465), length (111467), attempts",
        {
            "needle type": "clinical.needle.kind",
            "gauge (111465)": "clinical.needle.gauge_g",
            "length (111467)": "clinical.needle.length_mm",
            "attempts": "clinical.needle.attempts clinical.loss_of_resistance.attempts",
        },
    ),
    (
        "guidance",
        "views kept AP/lateral/oblique: instance UIDs, positioner angles; **at least 2 views**",
        {
            "views kept": "clinical.view.projection clinical.view.contrast",
            "AP": "clinical.view.projection=ap",
            "lateral": "clinical.view.projection=lateral",
            "oblique": "clinical.view.projection=oblique",
            "instance UIDs": "clinical.view.sop_instance_uid carm.image.sop_instance_uid",
            "positioner angles": "carm.image.primary_angle_deg carm.image.secondary_angle_deg",
            "at least 2 views": "alert.raised.rule",
        },
    ),
    (
        "guidance",
        "loss-of-resistance medium; aspiration result (blood, CSF)",
        {
            "loss-of-resistance medium": "clinical.loss_of_resistance.medium clinical.loss_of_resistance.obtained",
            "aspiration result": "clinical.aspiration.result",
            "blood": "clinical.aspiration.result=blood",
            "CSF": "clinical.aspiration.result=csf",
        },
    ),
    (
        "guidance",
        "contrast agent, concentration, volume, live fluoro/DSA, spread pattern, vascular uptake and what was done; or "
        "why none",
        {
            "contrast agent": "clinical.contrast.component.drug=iohexol",
            "concentration": "clinical.contrast.component.concentration",
            "volume": "clinical.contrast.component.volume_ml",
            "live fluoro": "clinical.contrast.imaging=live_fluoroscopy",
            "DSA": "clinical.contrast.imaging=dsa",
            "spread pattern": "clinical.contrast.spread",
            "vascular uptake": "clinical.contrast.uptake=vascular",
            "what was done": "clinical.contrast.action",
            "why none": "clinical.contrast.reason",
        },
    ),
    (
        "guidance",
        "fluoroscopy time, DAP, air kerma at the reference point, frames",
        {
            "fluoroscopy time": "carm.dose.fluoro_time_s carm.dose.total.fluoro_time_s",
            "DAP": "carm.dose.dap_gy_m2 carm.dose.total.dap_gy_m2",
            "air kerma at the reference point": "carm.dose.air_kerma_rp_gy carm.dose.total.air_kerma_rp_gy",
            "frames": "carm.image.frames",
        },
    ),
    (
        "injection",
        "steroid: name, particulate or not, lot, dose mg, volume; local anaesthetic: name, %, volume, mg; diluent; "
        "total volume; who drew it up",
        {
            "steroid": "clinical.drawn_up.components.drug=dexamethasone",
            "name": "clinical.drawn_up.components.name",
            "particulate or not": "clinical.drawn_up.components.particulate",
            "lot": "clinical.drawn_up.components.lot",
            "dose mg": "clinical.drawn_up.components.dose",
            "volume": "clinical.drawn_up.components.volume_ml",
            "local anaesthetic": "clinical.drawn_up.components.drug=lidocaine",
            "%": "clinical.drawn_up.components.concentration_unit=%",
            "mg": "clinical.drawn_up.components.dose_unit=mg",
            "diluent": "clinical.drawn_up.components.drug=sodium_chloride",
            "total volume": "procedure.completeness.syringes.drawn_up_ml",
            "who drew it up": "clinical.drawn_up.drawn_up_by clinical.drawn_up.checked_by",
        },
    ),
    (
        "injection",
        "per delivery segment: start, stop, rate, volume, mean and peak pressure, interruptions, paraesthesia",
        {
            "per delivery segment": "procedure.delivery.number procedure.delivery.drugs",
            "start": "procedure.delivery.started_at",
            "stop": "procedure.delivery.ended_at procedure.delivery.ended_by",
            "rate": "procedure.delivery.mean_rate_ml_h procedure.delivery.peak_rate_ml_h",
            "volume": "procedure.delivery.programmed_ml procedure.delivery.delivered_ml",
            "mean and peak pressure": "procedure.delivery.mean_pressure_mmhg procedure.delivery.peak_pressure_mmhg",
            "interruptions": "procedure.delivery.interruptions",
            "paraesthesia": "clinical.sensation.kind=paraesthesia",
        },
    ),
    (
        "injection",
        "volume discarded (122096); needle out, haemostasis (122033), dressing",
        {
            "volume discarded (122096)": "clinical.drug_discarded.volume_ml",
            "needle out": "clinical.needle.action=removed clinical.closure.needle_complete",
            "haemostasis (122033)": "clinical.closure.haemostasis",
            "dressing": "clinical.closure.dressing",
        },
    ),
    (
        "throughout",
        "HR, SpO2, NIBP, RR (EtCO2 when sedated) at most 5 minutes apart",
        {
            "HR": "vitals.numeric.readings reading heart_rate_bpm reading pulse_rate_bpm",
            "SpO2": "reading spo2_pct",
            "NIBP": "reading nibp_systolic_mmhg reading nibp_diastolic_mmhg reading nibp_mean_mmhg",
            "RR": "reading respiratory_rate_bpm reading impedance_respiratory_rate_bpm",
            "EtCO2 when sedated": "reading etco2_mmhg",
            "at most 5 minutes apart": "alert.raised.rule",
        },
    ),
    (
        "throughout",
        "complications: vasovagal, dural puncture, intravascular, paraesthesia/weakness, LAST, allergy, high block",
        {
            "complications": "clinical.complication.kind clinical.complication.severity clinical.complication.action",
            "vasovagal": "clinical.complication.kind=vasovagal",
            "dural puncture": "clinical.complication.kind=dural_puncture",
            "intravascular": "clinical.complication.kind=intravascular_injection",
            "paraesthesia": "clinical.complication.kind=paraesthesia",
            "weakness": "clinical.complication.kind=weakness",
            "LAST": "clinical.complication.kind=last",
            "allergy": "clinical.complication.kind=allergy",
            "high block": "clinical.complication.kind=high_block",
        },
    ),
    (
        "recovery",
        "vitals series, motor/sensory check, pain score (same scale), % relief; PADSS, escort, written instructions "
        "(122036), discharged (122037), restrictions given",
        {
            "vitals series": "vitals.numeric.readings",
            "motor": "clinical.motor_sensory.motor clinical.motor_sensory.bromage",
            "sensory check": "clinical.motor_sensory.sensory",
            "pain score": "clinical.pain.occasion=after clinical.pain.score",
            "same scale": "clinical.pain.scale",
            "% relief": "clinical.pain.relief_pct",
            "PADSS": "clinical.padss.vital_signs clinical.padss.total",
            "escort": "clinical.discharge.escort",
            "written instructions (122036)": "clinical.instructions.written",
            "discharged (122037)": "clinical.discharge.to",
            "restrictions given": "clinical.instructions.restrictions",
        },
    ),
    (
        "follow_up",
        "contact and date, pain score, % relief and duration, symptoms, complications, next appointment",
        {
            "contact": "clinical.follow_up.contact clinical.follow_up_plan.contact",
            "date": "clinical.follow_up.date clinical.follow_up_plan.due",
            "pain score": "clinical.follow_up.pain_score clinical.follow_up.pain_scale",
            "% relief": "clinical.follow_up.relief_pct",
            "duration": "clinical.follow_up.relief_duration_days",
            "symptoms": "clinical.follow_up.symptoms",
            "complications": "clinical.follow_up.complications",
            "next appointment": "clinical.follow_up.next_appointment clinical.follow_up_plan.next_appointment",
        },
    ),
    (
        "sign-off",
        "author, signer, date and time, meaning of the signature; amendments appended",
        {
            "author": "clinical.sign_off.actor clinical.sign_off.meaning=author",
            "signer": "clinical.sign_off.signer",
            "date and time": "entry.time",
            "meaning of the signature": "clinical.sign_off.meaning",
            "amendments appended": "record.amended.sha256",
        },
    ),
]
GLUE = {"and", "their", "or"}  # what a row holds beside its fields
PLACES: dict[str, type[Any]] = {**BY_TYPE, "identity": Identity, "order": Order, "entry": Entry}
READINGS = {each.name for each in vars(nomenclature).values() if isinstance(each, nomenclature.Parameter)}
ROWS = [row for _, row, _ in TABLE]


def kinds_of(kind: inspect.Type) -> list[inspect.Type]:
    """What may stand there, out of its optional, list or range."""
    match kind:
        case inspect.Metadata():
            return kinds_of(kind.type)
        case inspect.UnionType():
            return [inner for each in kind.types for inner in kinds_of(each)]
        case inspect.VarTupleType():
            return kinds_of(kind.item_type)
    return [kind]


def check_place(place: str) -> None:
    """`<type>.<field>[.<field>][=<word>]` is there."""
    path, _, word = place.partition("=")
    name = next(name for name in sorted(PLACES, key=len, reverse=True) if path.startswith(f"{name}."))
    kinds: list[inspect.Type] = [inspect.type_info(PLACES[name])]
    for step in path.removeprefix(f"{name}.").split("."):
        structs = [kind for kind in kinds if isinstance(kind, inspect.StructType)]
        fields = {field.name: field.type for struct in structs for field in struct.fields}
        assert step in fields, f"{place}: there is no {step}"
        kinds = kinds_of(fields[step])
    allowed = [value for kind in kinds if isinstance(kind, inspect.LiteralType) for value in kind.values]
    assert not word or word in allowed, f"{place}: allowed are {allowed}"


@pytest.mark.parametrize(("phase", "row", "fields"), TABLE, ids=ROWS)
def test_every_field_of_the_clinical_table_has_its_place(phase: str, row: str, fields: dict[str, str]) -> None:
    for places in fields.values():
        for reading in re.findall(r"reading (\w+)", places):
            assert reading in READINGS
        for place in re.sub(r"reading \w+", "", places).split():
            check_place(place)
    left = row
    for words_ in sorted(fields, key=len, reverse=True):
        assert words_ in left or words_ in row, words_
        left = re.sub(rf"(?<!\w){re.escape(words_)}(?!\w)", " ", left)
    assert set(re.findall(r"\w+", left)) <= GLUE, f"without a place: {left}"


@pytest.mark.skipif(not CLINICAL.exists(), reason="the clinical table is not beside this clone")
def test_the_table_here_is_the_clinical_table() -> None:
    text = CLINICAL.read_text().partition("## Fields by phase")[2].partition("## Rules")[0]
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*) \| ?[^|]*\|$|^\|()\s*\| ([^|]*) \| ?[^|]*\|$", text, re.MULTILINE)
    stated = [(first or third).strip() for _, first, _, third in rows]
    assert [row for row in stated if row not in ("Fields", "---") and not set(row) <= {"-", " "}] == ROWS
