"""`html`: the case on one page, `<record>.html`. Self-contained: nothing is fetched, it opens offline.

    markup      escaping, moments in the room's zone       pictures    decoded in a process of their own, small
    axis        the time axis and its lanes, as SVG        album       which frames the page shows, and their names
    lanes       what each lane shows: trends, bars         words, corrected    what an entry says, for all of these
    series      readings as curves                         moments     what is known of every moment, for the script
    sections    the tables below the drawing               script/     cursor, panel and player

Rules:
- Whether the record verifies, and where it does not, stands on top of the page, and on every page that is printed.
- Old and new: a form that was corrected is shown as it was said, struck out, with what counts beside it.
- Times are those of the clock in the room; UTC is in the title of each.
- Every text of the record is escaped: a note may hold anything. The page allows its own script and style by their
  hashes, and nothing else.
- One page, one code: what the server shows is the same document, with its script, style and pictures beside it. It is
  whole without its script: that adds the moment under the cursor.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from esi_room.audit.export.case import Case
from esi_room.audit.export.files import named, written
from esi_room.audit.export.page.album import Album, embedded, linked
from esi_room.audit.export.page.axis import Axis, drawing
from esi_room.audit.export.page.lanes import lanes
from esi_room.audit.export.page.markup import Html, element, joined, text
from esi_room.audit.export.page.moments import data_element, moments
from esi_room.audit.export.page.sections import head, sections, verdict
from esi_room.audit.export.page.series import curves
from esi_room.clock import parse_rfc3339

_MODULES = ("dom", "words", "known", "picture", "panel", "cursor", "controls", "main")
"""Of the script, each behind those that it imports."""
_IMPORT = re.compile(r"^import .*;\n|^export (?=class|const|function)", re.MULTILINE)


class Parts(NamedTuple):
    """What a page has besides its body: the elements of its head, the pictures, and where one goes from here."""

    head: Html
    album: Album
    script: Html
    back: Html = Html("")


def export(case: Case, to: Path) -> list[Path]:
    """The page."""
    path = named(case, to, "html")
    with written(path) as file:
        file.write(page(case).encode())
    return [path]


def page(case: Case) -> str:
    """The whole document, with everything in it."""
    css, js = style(case), script()
    policy = f"default-src 'none'; img-src data:; style-src {_hash(css)}; script-src {_hash(js)}"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">'
    inside = Html(f'<script type="module">{js}</script>')
    return _document(case, Parts(Html(f"{meta}<style>{css}</style>"), embedded(case, case.images()), inside))


def served(case: Case, record: str) -> str:
    """The same, for a server that shows `style`, `script` and the frames below the page's own address, `record`."""
    links = f'<link rel="stylesheet" href="{text(record)}/style.css">'
    outside = Html(f'<script type="module" src="{text(record)}/script.js"></script>')
    back = element("nav", element("a", "All records", href="../records"), aria_label="Records")
    return _document(case, Parts(Html(links), linked(case, case.images(), f"{record}/frame"), outside, back))


def script() -> str:
    """The modules as one, so that a page can hold it."""
    folder = resources.files(__package__) / "script"
    found = "\n".join((folder / f"{name}.js").read_text("utf-8") for name in _MODULES)
    return "\n" + _IMPORT.sub("", found)


def style(case: Case) -> str:
    """With what print puts on every page."""
    css = (resources.files(__package__) / "style.css").read_text("utf-8")
    words = f"{case.record}: verifies" if case.broken is None else f"{case.record}: BROKEN, DOES NOT VERIFY"
    kind = "holds" if case.broken is None else "broken"
    return css.replace("/*RECORD*/", f'content: "{words}";').replace("/*KIND*/", f"color: var(--{kind});")


def _document(case: Case, parts: Parts) -> str:
    axis, album, found = axis_of(case), parts.album, curves(case)
    figure = element("figure", drawing(axis, lanes(case, axis, found, album.thumbnails)))
    note = element("p", album.note, class_="keys") if album.note else ""
    overview = element("div", element("div", figure, note, class_="stage"), class_="overview")
    front = element("div", verdict(case), head(case), overview, class_="front")  # print puts it on a page of its own
    body = [parts.back, front, *sections(case, found, album.thumbnails)]
    title = f"{'' if case.broken is None else 'BROKEN: '}{case.record}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{parts.head}<title>{text(title)}</title></head>"
        f"<body>{element('main', joined(body))}{data_element(moments(case, axis, album))}{parts.script}</body></html>\n"
    )


def _hash(octets: str) -> str:
    """As a Content-Security-Policy names what it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(octets.encode()).digest()).decode()}'"


def axis_of(case: Case) -> Axis:
    """From the record's first entry to its last; where the room's clock was set back, over all that it showed."""
    shown = [said.taken.received.wall_ns for said in case.events if said.place == "journal" and said.taken is not None]
    shown += [parse_rfc3339(case.began), parse_rfc3339(case.until)]
    return Axis(min(shown), max(shown), case.zone)
