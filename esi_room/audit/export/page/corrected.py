"""Corrections, each with what it corrects: for the table, the drawing and the panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from esi_room.audit.export.case import Case, Said
from esi_room.audit.export.page.words import fields, form_name, words
from esi_room.events.clinical import Correction


class Corrected(NamedTuple):
    """`by` corrects entry `seq`, which is `form` (None where it is not there): what it `was`, and `now` is."""

    by: Said
    correction: Correction
    seq: int
    form: Said | None
    was: str
    now: str

    @property
    def name(self) -> str:
        """Of what is corrected: `#12 pain`."""
        return f"#{self.seq}" if self.form is None else f"#{self.seq} {form_name(self.form)}"


def corrections(case: Case) -> Iterator[Corrected]:
    """One by one; where one followed another, what was corrected is what the one before had said."""
    forms = {each.entry.seq: each for each in case.events if each.place != "late"}
    for seq, made in case.corrections.items():
        form = forms.get(seq)
        values = {} if form is None else fields(form.data)
        for by in made:
            correction = by.data
            if not isinstance(correction, Correction):
                continue
            before = values if correction.withdrawn else {key: values.get(key) for key in correction.fields}
            now = "withdrawn: it should not have been said" if correction.withdrawn else words(correction.fields)
            yield Corrected(by, correction, seq, form, words(before), now)
            values |= correction.fields
