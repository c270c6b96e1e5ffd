"""Text on its way into the page: escaped, always; moments in the room's zone, with UTC beside them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from esi_room.clock import NS, parse_rfc3339, rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Html(str):
    """Markup, with everything in it escaped already."""

    __slots__ = ()


def text(value: object) -> str:
    """Anything, escaped; markup as it is."""
    return value if isinstance(value, Html) else escape("" if value is None else str(value))


def element(name: str, *inside: object, **attributes: object) -> Html:
    """`<name …>inside</name>`. `class_` is `class`, `text_anchor` is `text-anchor`; one that is None is not there."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>{''.join(map(text, inside))}</{name}>")


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def joined(parts: Iterable[object], between: str = "") -> Html:
    """One after the other."""
    return Html(text(between).join(map(text, parts)))


def local(wall_ns: int, zone: ZoneInfo) -> datetime:
    """The moment as the clock on the room's wall showed it."""
    return (_EPOCH + timedelta(microseconds=wall_ns // 1000)).astimezone(zone)


def moment(when: int | str, zone: ZoneInfo, *, day: bool = False) -> Html:
    """The time of day, with UTC in its title. `day`: with the date and the zone."""
    try:
        wall_ns = parse_rfc3339(when) if isinstance(when, str) else when
        shown = local(wall_ns, zone)
    except (ValueError, OverflowError):
        return Html(text(when))
    utc = rfc3339(wall_ns)
    words = f"{shown:%Y-%m-%d %H:%M:%S %Z}" if day else f"{shown:%H:%M:%S}"
    return element("time", words, datetime=utc, title=f"{utc} (UTC)")


def seconds(wall_ns: int) -> float:
    """For arithmetic on the page."""
    return wall_ns / NS


def table(heading: Iterable[str], rows: Iterable[Iterable[object]], **attributes: object) -> Html:
    """With a heading that print repeats on every page. No rows: a word that says so."""
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    if not body:
        return element("p", "None.", class_="none")
    head = element("thead", element("tr", *(element("th", each, scope="col") for each in heading)))
    return element("table", head, element("tbody", *body), **attributes)
