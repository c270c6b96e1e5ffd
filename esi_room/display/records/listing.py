"""The list of a room's records, as a page. Whole without a script; `records.js` takes in what is verified meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from esi_room.audit.export.page.markup import Html, element, joined, local, moment, text
from esi_room.clock import NS
from esi_room.display.records.shelf import Row

MOST_ROWS = 200  # on one page; the older ones are one step away


class Search(NamedTuple):
    """What is looked for: days in the room's zone, words of the procedure or of the id. `before`: older than that."""

    first: date | None = None
    last: date | None = None
    words: str = ""
    standby: bool = False
    before: str = ""


def page(rows: list[Row], search: Search) -> str:
    """The whole document."""
    found = [row for row in rows if _fits(row, search)]
    shown, older = found[:MOST_ROWS], found[MOST_ROWS:]
    pending = any(row.summary.sealed and row.verdict is None for row in shown)
    parts = [_count(found, shown), _table(shown)]
    if older:
        parts.append(element("p", element("a", "Older", href=_older(search, shown[-1]), rel="next")))
    found_part = element("div", *parts, id="found", data_pending="" if pending else None)
    body = element("main", element("h1", "Records of this room"), _form(search), found_part)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Records</title>'
        '<link rel="stylesheet" href="static/records.css"><script type="module" src="static/records.js"></script>'
        '<script type="module" src="static/account.js"></script>'
        f'</head><body><div id="account"></div>{body}</body></html>\n'
    )


def _fits(row: Row, search: Search) -> bool:
    one = row.summary
    day = local(one.opened_ns, _zone(one.zone)).date()
    words = search.words.casefold()
    return (
        (search.standby or one.kind != "standby")
        and (search.first is None or day >= search.first)
        and (search.last is None or day <= search.last)
        and (not search.before or one.record < search.before)
        and (not words or words in (one.procedure or "").casefold() or words in one.record.casefold())
    )


def _older(search: Search, last: Row) -> str:
    said = {
        "from": search.first and search.first.isoformat(),
        "to": search.last and search.last.isoformat(),
        "q": search.words,
        "standby": "1" if search.standby else "",
        "before": last.summary.record,
    }
    return f"records?{urlencode({key: value for key, value in said.items() if value})}"


def _form(search: Search) -> Html:
    fields = [
        _field("From", type="date", name="from", value=search.first),
        _field("To", type="date", name="to", value=search.last),
        _field("Procedure or record", type="search", name="q", value=search.words),
        _field("With standby", type="checkbox", name="standby", value="1", checked="" if search.standby else None),
    ]
    button = element("button", "Show", type="submit")
    return element("form", *fields, button, action="records", role="search")


def _field(label: str, **attributes: object) -> Html:
    said = "".join(f' {key}="{text(value)}"' for key, value in attributes.items() if value is not None)
    return element("label", label, Html(f" <input{said}>"))


def _count(found: list[Row], shown: list[Row]) -> Html:
    of = f", the newest {len(shown)} shown" if len(shown) < len(found) else ""
    words = f"{len(found)} record{'' if len(found) == 1 else 's'}{of}"
    broken = sum(row.verdict is not None and row.verdict.problem is not None for row in found)
    return element("p", words, element("b", f"; {broken} BROKEN", class_="broken") if broken else "", class_="count")


_HEADS = ("Began", "Length", "Procedure", "Images", "Deviations", "Verified", "Record")


def _table(rows: Iterable[Row]) -> Html:
    body = [element("tr", *_cells(row)) for row in rows]
    if not body:
        return element("p", "None that fits.", class_="none")
    head = element("tr", *(element("th", each, scope="col") for each in _HEADS))
    return element("table", element("thead", head), element("tbody", *body))


def _cells(row: Row) -> list[Html]:
    one = row.summary
    zone = _zone(one.zone)
    what = one.procedure or {"standby": "standby", None: "its first line cannot be read"}.get(one.kind, "not said")
    outcome = element("small", f" {one.outcome}") if one.outcome not in (None, "completed") else ""
    link = element("a", moment(one.opened_ns, zone, day=True), href=f"records/{one.record}")
    return [
        element("td", link),
        element("td", _length(one.last_ns - one.opened_ns), class_="figure"),
        element("td", what, outcome),
        element("td", one.images, class_="figure"),
        element("td", one.deviations or "none", class_="figure"),
        element("td", _state(row, zone)),
        element("td", one.record, class_="id"),
    ]


def _length(ns: int) -> str:
    minutes = max(0, ns) // NS // 60
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def _state(row: Row, zone: ZoneInfo) -> Html:
    """Never more than is known of it as it lies there now."""
    if row.verdict is not None and row.verdict.problem is not None:
        return joined([element("b", "BROKEN", class_="broken"), f" {row.verdict.problem}"])
    if not row.summary.sealed:
        return element("span", "open, verified when it is looked at", class_="open")
    if row.verdict is None:
        return element("span", "not yet", class_="pending")
    return joined([element("span", "✓ verified ", class_="holds"), moment(row.verdict.at_ns, zone, day=True)])


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def refusal(words: str) -> str:
    """A page that says why there is none."""
    back = element("nav", element("a", "All records", href="../records"))
    said = element("main", back, element("h1", "This record cannot be shown"), element("p", words))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>No record</title>'
        f'<link rel="stylesheet" href="../static/records.css"></head><body>{text(said)}</body></html>\n'
    )
