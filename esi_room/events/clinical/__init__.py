"""What the staff say: a form each, one class of payload each, `clinical.<form>`.

words         closed lists, ranges, codes
evaluation    preparation    guidance    injection    recovery    anytime    the forms, by phase

The command `command/<form>` has the same fields (`esi_room.commands`).
"""

from esi_room.events.clinical import anytime, evaluation, guidance, injection, preparation, recovery
from esi_room.events.clinical.anytime import ClinicalNote, Correction, Patient
from esi_room.events.clinical.base import Clinical
from esi_room.events.clinical.evaluation import (
    Allergies,
    Allergy,
    Anticoagulant,
    Anticoagulants,
    Assessment,
    Consent,
    EarlierInjections,
    Indication,
    Pain,
    PriorImaging,
)
from esi_room.events.clinical.guidance import ApproachTaken, Aspiration, Contrast, LossOfResistance, Needle, ViewKept
from esi_room.events.clinical.injection import Closure, Complication, HandInjection, InjectionPressure, Sensation
from esi_room.events.clinical.preparation import (
    Component,
    DrawnUp,
    DrugDiscarded,
    DrugGiven,
    IvAccess,
    Monitoring,
    Positioning,
    Sedation,
    SignIn,
    SignOut,
    TimeOut,
)
from esi_room.events.clinical.recovery import (
    Discharge,
    FollowUp,
    FollowUpPlan,
    Instructions,
    MotorSensory,
    Padss,
    SignOff,
)

ALL: tuple[type[Clinical], ...] = (
    *evaluation.FORMS,
    *preparation.FORMS,
    *guidance.FORMS,
    *injection.FORMS,
    *recovery.FORMS,
    *anytime.FORMS,
)
FORMS: dict[str, type[Clinical]] = {form.TYPE.removeprefix("clinical."): form for form in ALL}
"""Form by name, which is also that of its command."""

__all__ = [
    "ALL",
    "FORMS",
    "Allergies",
    "Allergy",
    "Anticoagulant",
    "Anticoagulants",
    "ApproachTaken",
    "Aspiration",
    "Assessment",
    "Clinical",
    "ClinicalNote",
    "Closure",
    "Complication",
    "Component",
    "Consent",
    "Contrast",
    "Correction",
    "Discharge",
    "DrawnUp",
    "DrugDiscarded",
    "DrugGiven",
    "EarlierInjections",
    "FollowUp",
    "FollowUpPlan",
    "HandInjection",
    "Indication",
    "InjectionPressure",
    "Instructions",
    "IvAccess",
    "LossOfResistance",
    "Monitoring",
    "MotorSensory",
    "Needle",
    "Padss",
    "Pain",
    "Patient",
    "Positioning",
    "PriorImaging",
    "Sedation",
    "Sensation",
    "SignIn",
    "SignOff",
    "SignOut",
    "TimeOut",
    "ViewKept",
]
