"""ImagingStudy: the images of the case, by study and series."""

from __future__ import annotations

from typing import Any

from esi_room.audit.export.case import Case
from esi_room.audit.export.fhir.parts import DCM, Resource, reference, resource, subject
from esi_room.events import CarmImage

_UIDS = "urn:dicom:uid"
_URI = "urn:ietf:rfc:3986"


def studies(case: Case) -> list[Resource]:
    """One a study UID. An object whose header names no study or series has no place here."""
    found: dict[str, dict[str, list[CarmImage]]] = {}
    began: dict[str, str] = {}
    for said in case.images():
        image = said.data
        if isinstance(image, CarmImage) and image.study_uid and image.series_uid:
            found.setdefault(image.study_uid, {}).setdefault(image.series_uid, []).append(image)
            began.setdefault(image.study_uid, said.entry.time)
    return [_study(case, uid, series, began[uid]) for uid, series in found.items()]


def _study(case: Case, uid: str, series: dict[str, list[CarmImage]], began: str) -> Resource:
    return resource(
        case,
        "ImagingStudy",
        f"study/{uid}",
        identifier=[{"system": _UIDS, "value": f"urn:oid:{uid}"}],
        status="available",
        subject=subject(case),
        started=began,
        procedureReference=reference(case, "procedure"),
        numberOfSeries=len(series),
        numberOfInstances=sum(len(images) for images in series.values()),
        series=[_series(each, images) for each, images in series.items()],
    )


def _series(uid: str, images: list[CarmImage]) -> Resource:
    first = images[0]
    number = {} if first.series_number is None or first.series_number < 0 else {"number": first.series_number}
    return {
        "uid": uid,
        **number,
        "modality": {"system": DCM, "code": first.modality or "OT"},
        "numberOfInstances": len(images),
        "instance": [_instance(image) for image in images],
    }


def _instance(image: CarmImage) -> dict[str, Any]:
    number = {} if image.instance_number is None or image.instance_number < 0 else {"number": image.instance_number}
    title = {"title": f"sha256 {image.sha256}"}
    return {"uid": image.sop_instance_uid, "sopClass": {"system": _URI, "code": f"urn:oid:{image.sop_class_uid}"}} | (
        number | title
    )
