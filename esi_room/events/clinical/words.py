"""The words that forms are filled in with: closed lists, ranges with units, and the codes of standards behind them.

Rules:
- A choice is one word of a list, never a free text; `other` asks for the word beside it.
- The range of a quantity is what can be meant, not what is wise: it catches a slipped point or a wrong unit. What is
  unwise is said by the rules.
- Codes stand here only where the published text was at hand: SNOMED CT discs, DICOM CID 3402, 3409 and 3410 (PS3.16).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta


def _unit(ucum: str) -> dict[str, Any]:
    return {"x-unit": ucum}


VolumeMl = Annotated[float, Meta(gt=0, le=100, description="mL", extra_json_schema=_unit("mL"))]
WeightKg = Annotated[float, Meta(ge=2, le=400, description="kg", extra_json_schema=_unit("kg"))]
PressureMmhg = Annotated[float, Meta(ge=0, le=5000, description="mmHg", extra_json_schema=_unit("mm[Hg]"))]
GlucoseMgDl = Annotated[float, Meta(ge=10, le=1500, description="mg/dL", extra_json_schema=_unit("mg/dL"))]
Inr = Annotated[float, Meta(ge=0.5, le=20)]
Percent = Annotated[float, Meta(ge=0, le=100, description="%", extra_json_schema=_unit("%"))]
Score = Annotated[float, Meta(ge=0, le=10, description="0 (none) to 10 (worst)", extra_json_schema=_unit("{score}"))]
DepthMm = Annotated[float, Meta(ge=1, le=250, description="mm", extra_json_schema=_unit("mm"))]
GaugeG = Annotated[int, Meta(ge=14, le=32, description="gauge")]
Attempts = Annotated[int, Meta(ge=1, le=50)]
Count = Annotated[int, Meta(ge=0, le=100)]
Weeks = Annotated[float, Meta(ge=0, le=5200, description="weeks", extra_json_schema=_unit("wk"))]
Days = Annotated[float, Meta(ge=0, le=3660, description="days", extra_json_schema=_unit("d"))]
Hours = Annotated[float, Meta(ge=0, le=2000, description="hours", extra_json_schema=_unit("h"))]
Points = Annotated[int, Meta(ge=0, le=2)]
Amount = Annotated[float, Meta(gt=0, le=100_000)]
Word = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Text = Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"\S")]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Uid = Annotated[str, Meta(pattern=r"^[0-9.]{1,64}$")]
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="YYYY-MM-DD")]
Moment = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$",
        description="RFC 3339, with a zone",
    ),
]

Side = Literal["left", "right", "both", "midline"]
Region = Literal["cervical", "thoracic", "lumbar", "sacral"]
Approach = Literal["interlaminar", "transforaminal", "caudal"]
Level = Literal[
    "C2/3", "C3/4", "C4/5", "C5/6", "C6/7", "C7/T1",
    "T1/2", "T2/3", "T3/4", "T4/5", "T5/6", "T6/7", "T7/8", "T8/9", "T9/10", "T10/11", "T11/12", "T12/L1",
    "L1/2", "L2/3", "L3/4", "L4/5", "L5/S1",
    "S1", "S2", "S3", "S4", "sacral_hiatus",
]  # fmt: skip
Levels = Annotated[tuple[Level, ...], Meta(min_length=1, max_length=8)]

_REGIONS: dict[str, Region] = {"C": "cervical", "T": "thoracic", "L": "lumbar", "S": "sacral", "s": "sacral"}

DISC_SCT: dict[str, int] = {
    "C5/6": 243905009,
    "C6/7": 243906005,
    "C7/T1": 243925008,
    "T12/L1": 243926009,
    "L1/2": 243920003,
    "L2/3": 243921004,
    "L3/4": 243922006,
    "L4/5": 243923001,
    "L5/S1": 243927000,
}
"""SNOMED CT concept of the intervertebral disc at a level."""


def region_of(level: str) -> Region:
    """C7/T1 counts as cervical, T12/L1 as thoracic: by the upper vertebra."""
    return _REGIONS[level[0]]


PainScale = Literal["NRS", "VAS", "VRS", "FACES"]
Contact = Literal["phone", "visit", "letter", "app"]

Drug = Literal[
    "methylprednisolone", "triamcinolone", "betamethasone", "dexamethasone",
    "lidocaine", "bupivacaine", "levobupivacaine", "ropivacaine", "mepivacaine", "chloroprocaine",
    "iohexol", "iopamidol", "gadolinium_chelate",
    "sodium_chloride", "water",
    "midazolam", "propofol", "fentanyl", "ketamine", "dexmedetomidine",
    "atropine", "ephedrine", "adrenaline", "ondansetron", "antihistamine", "lipid_emulsion",
    "other",
]  # fmt: skip
STEROIDS = frozenset({"methylprednisolone", "triamcinolone", "betamethasone", "dexamethasone"})
PARTICULATE = frozenset({"methylprednisolone", "triamcinolone", "betamethasone"})
"""Steroids in suspension (Rathmell, Anesthesiology 2015). Betamethasone sodium phosphate alone is a solution: then
`particulate` is said to be false on the form."""
LOCAL_ANAESTHETICS = frozenset(
    {"lidocaine", "bupivacaine", "levobupivacaine", "ropivacaine", "mepivacaine", "chloroprocaine"}
)
CONTRAST_AGENTS = frozenset({"iohexol", "iopamidol", "gadolinium_chelate"})
DILUENTS = frozenset({"sodium_chloride", "water"})
OF_THE_VEIN = frozenset(
    {
        "midazolam", "propofol", "ketamine", "dexmedetomidine",
        "atropine", "ephedrine", "adrenaline", "ondansetron", "antihistamine", "lipid_emulsion",
    }
)  # fmt: skip
NO_INJECTATE = CONTRAST_AGENTS | DILUENTS | OF_THE_VEIN
"""What holds nothing but these is not what the procedure is done for: contrast, a flush, a pump for sedation."""
ConcentrationUnit = Literal["mg/mL", "ug/mL", "%", "mg{I}/mL", "mmol/mL"]
DoseUnit = Literal["mg", "ug", "mg{I}", "mmol"]
Route = Literal["epidural", "skin", "intravenous", "intramuscular", "oral"]
