"""What can go wrong with the C-arm, by the action or setting that makes it so."""

from __future__ import annotations

from collections.abc import Mapping

from simulators.carm import dose_faults


def _first_line(described: object) -> str:
    return (described.__doc__ or "").splitlines()[0].rstrip(".")


FAULTS: Mapping[str, str] = {
    "abort_mid_object": "The association breaks in the middle of the next object",
    "resend": "The last object once more",
    "same_uid_other_content": "Another object under the last object's UID",
    "wrong_patient": "Images under somebody else's identity",
    "wrong_ae": "A knock under an unknown AE title",
    "set_clock": "The C-arm's clock is wrong, or is set",
    "hold_images": "Images stay on the C-arm until send_images or end_case",
    "end_case mpps=never": "The performed procedure step is never ended",
    "end_case mpps=twice": "The performed procedure step is ended twice",
    "refuse_reports": "Reports of storage commitment are answered with a failure",
    "dose_report=cumulative": "A report after every run, each of everything so far",
    "dose_report=continued": "A report after every run, each of what came since the last",
    **{f"dose_report fault={fault}": _first_line(spoiler) for fault, spoiler in dose_faults.FAULTS.items()},
}
