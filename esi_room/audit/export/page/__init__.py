"""`html`: the case on one page, `<record>.html`. Self-contained: no script, nothing is fetched, it opens offline.

    markup      escaping, moments in the room's zone       pictures    thumbnails, decoded in a process of their own
    axis        the time axis and its lanes, as SVG        series      readings as curves
    lanes       what each lane shows                       sections    the tables below the drawing

Rules:
- Whether the record verifies, and where it does not, stands on top of the page, and on every page that is printed.
- Old and new: a form that was corrected is shown as it was said, struck out, with what counts beside it.
- Times are those of the clock in the room; UTC is in the title of each.
- Every text of the record is escaped: a note may hold anything, and the page allows no script.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from esi_room.audit.export.case import Case
from esi_room.audit.export.files import named, written
from esi_room.audit.export.page.axis import Axis, drawing
from esi_room.audit.export.page.lanes import lanes
from esi_room.audit.export.page.markup import Html, element, joined, text
from esi_room.audit.export.page.pictures import thumbnails
from esi_room.audit.export.page.sections import head, sections, verdict
from esi_room.audit.export.page.series import curves
from esi_room.clock import parse_rfc3339

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def export(case: Case, to: Path) -> list[Path]:
    """The page."""
    path = named(case, to, "html")
    with written(path) as file:
        file.write(page(case).encode())
    return [path]


def page(case: Case) -> str:
    """The whole document."""
    pictures, found = thumbnails(case, case.images()), curves(case)
    timeline = drawing(_axis(case), lanes(case, _axis(case), found, pictures))
    body = joined([verdict(case), head(case), element("figure", timeline), *sections(case, found, pictures)])
    title = f"{'' if case.broken is None else 'BROKEN: '}{case.record}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{text(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_style(case)}</style></head>"
        f"<body>{element('main', body)}</body></html>\n"
    )


def _style(case: Case) -> Html:
    """With what print puts on every page."""
    css = (resources.files(__package__) / "style.css").read_text("utf-8")
    words = f"{case.record}: verifies" if case.broken is None else f"{case.record}: BROKEN, DOES NOT VERIFY"
    kind = "holds" if case.broken is None else "broken"
    return Html(css.replace("/*RECORD*/", f'content: "{words}";').replace("/*KIND*/", f"color: var(--{kind});"))


def _axis(case: Case) -> Axis:
    """From the record's first entry to its last."""
    return Axis(parse_rfc3339(case.began), parse_rfc3339(case.until), case.zone)
