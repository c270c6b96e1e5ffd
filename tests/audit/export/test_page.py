"""`export --format html`: what is on the page, and that it needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from esi_room.audit.export.page import series
from esi_room.audit.export.page.axis import Axis
from esi_room.audit.export.page.series import Point
from esi_room.cli import main
from esi_room.clock import NS


def export(built: Any, to: Path, *more: str) -> str:
    CliRunner().invoke(main, ["export", str(built.directory), "--format", "html", "--to", str(to), *more])
    (path,) = to.iterdir()
    return path.read_text("utf-8")


@pytest.fixture
def page(built: Any, tmp_path: Path) -> str:
    return export(built, tmp_path / "out")


def section(page: str, title: str) -> str:
    return page.split(f"<h2>{title}")[1].split("</section>", maxsplit=1)[0]


class Checker(HTMLParser):
    """Every tag that is opened is closed, in order; what is fetched; what scripts there are."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.scripts: list[str] = []
        self.sources: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "script":
            self.scripts.append(str(dict(attrs).get("type")))
        self.sources |= {value or "" for key, value in attrs if key in ("src", "href", "srcset", "data")}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("img",):
            assert self.open.pop() == tag
        else:
            assert self.open.pop() == "img"


def test_it_is_whole_and_fetches_nothing(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert not checker.tags & {"link", "iframe", "object", "embed"}
    assert checker.scripts == ["application/json", "module"]
    assert all(source.startswith(("data:image/jpeg;", "#")) for source in checker.sources)
    assert "url(" not in page and "@import" not in page


def test_it_allows_its_own_script_and_style_and_nothing_else(page):
    policy = re.findall(r'Content-Security-Policy" content="(.*?)">', page)[0]
    assert policy.startswith("default-src &#x27;none&#x27;; img-src data:; ") and "unsafe" not in policy
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}(?: type=.module.)?>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src &#x27;sha256-{digest}&#x27;" in policy


def test_the_script_has_every_module_once():
    from esi_room.audit.export import page

    joined = page.script()
    assert not re.search(r"^(import|export) ", joined, re.MULTILINE)
    folder = Path(page.__file__).parent / "script"
    for path in folder.glob("*.js"):
        for name in re.findall(r"^export (?:class|const|function) (\w+)", path.read_text("utf-8"), re.MULTILINE):
            assert len(re.findall(rf"^(?:class|const|function) {name}\b", joined, re.MULTILINE)) == 1, path.name


def test_what_the_staff_wrote_is_text(page):
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; so on" in page
    assert "\\u003cscript\\u003ealert('x')\\u003c/script\\u003e \\u0026 so on" in page
    assert "<script>alert" not in page


def test_it_says_that_it_verifies(page):
    assert page.index("Verified:") < page.index("<h1>")
    assert "BROKEN" not in page


def test_a_broken_record_says_so_on_top_with_where_and_on_every_printed_page(broken, tmp_path):
    page = export(broken, tmp_path / "out", "--even-if-broken")
    top = page[: page.index("<h1>")]
    assert "BROKEN: this record does not verify" in top
    assert f"journal.jsonl:{broken.seqs['corrects'] + 2}" in top
    assert "Verified:" not in page
    assert re.search(r'@page \{.*@top-left \{ content: "[^"]*BROKEN', page)


def test_times_are_the_rooms_with_utc_beside_them(page):
    phases = section(page, "Phases")
    assert (
        '<time datetime="2026-03-29T00:56:00.000000Z" title="2026-03-29T00:56:00.000000Z (UTC)">01:56:00</time>'
        in phases
    )
    assert "03:01:00</time>" in phases  # the hour that was left out that night


def test_old_and_new_stand_side_by_side(page):
    corrections = section(page, "Corrections")
    assert "<del>score 8</del></td><td><ins>score 6</ins></td><td>misheard" in corrections
    assert "<del>score 6</del></td><td><ins>score 5</ins></td><td>it was 5" in corrections
    assert "withdrawn" in corrections and "of another patient" in corrections
    said = section(page, "Said by the staff")
    assert "<del>occasion baseline; score 8; scale NRS</del>" in said


def test_everything_has_its_place(page):
    assert "pain score 2" in section(page, "After the seal")
    assert "no contrast before the injectate" in section(page, "Alerts")
    assert "80.0" in section(page, "Gaps") and "silent" in section(page, "Gaps")
    assert "dexamethasone" in section(page, "Deliveries")
    assert section(page, "Images").count("<img") == 2 and "came late" in section(page, "Images")
    assert "late, into" in section(page, "Dose")
    timeline = page.split("<svg")[1].split("</svg>")[0]
    for label in ("Phases", "SpO₂", "Cuff mmHg", "Delivery", "Images", "Dose", "Alerts", "Gaps"):
        assert f">{label}" in timeline
    assert timeline.count("<image ") == 2


def test_a_pump_is_drawn_as_it_counted(page):
    lane = page.split(">Pump mL<")[1].split("</g>")[0]
    (points,) = re.findall(r'<polyline points="([^"]+)"', lane)
    assert len(points.split()) == 3  # as it started, on its way, and completed


def test_who_the_patient_is_only_where_that_is_asked_for(built, page, tmp_path):
    assert "Muster" not in page and "1961-04-12" not in page
    assert "Muster^Erika, 4711, 1961-04-12" in export(built, tmp_path / "again", "--identity")


def test_an_object_that_is_not_there_is_said(built, tmp_path):
    for path in (built.directory / "frames").iterdir():
        path.unlink()
    assert "the object is not there" in section(export(built, tmp_path / "out", "--even-if-broken"), "Images")


def test_no_line_is_drawn_where_nothing_good_was_known():
    points = [Point(s * NS, value, 2 * NS) for s, value in ((0, 98.0), (1, 97.0), (2, None), (3, 96.0), (9, 95.0))]
    assert [[value for _, value in run] for run in series.runs(points)] == [[98.0, 97.0], [96.0], [95.0]]


def test_a_short_dip_stays_in_a_long_record():
    places = [(n / 1000, 98.0 if n != 77_777 else 61.0) for n in range(200_000)]
    drawn = list(series.thinned(places))
    assert len(drawn) < 1000
    assert min(value for _, value in drawn) == 61.0


@pytest.mark.parametrize("at_s", [0, 200, 480, 600, 1000])
def test_words_beside_a_bar_stay_in_the_drawing(at_s):
    from zoneinfo import ZoneInfo

    from esi_room.audit.export.page import bars
    from esi_room.audit.export.page.axis import LEFT, WIDTH

    axis = Axis(0, 1000 * NS, ZoneInfo("UTC"))
    bar = bars.bar(axis, at_s * NS, (at_s + 1) * NS, 0, "w" * 300, "title", "alert")
    place, words = re.findall(r"<text.*? x=\"([\d.]+)\".*?>(.*?)</text>", bar)[0]
    length_px = len(words) * bars.LETTER_PX
    left = float(place) - (length_px if "text-anchor" in bar else 0)
    assert left >= LEFT and left + length_px <= WIDTH
    assert words.endswith("…")


def test_ticks_are_round_and_few():
    from zoneinfo import ZoneInfo

    for length_s in (0, 7, 900, 30_000, 400_000):
        ticks = Axis(1_000 * NS, (1_000 + length_s) * NS, ZoneInfo("UTC")).ticks()
        assert len(ticks) <= 15


def test_a_browser_shows_it(built: Any, tmp_path: Path, peers: ModuleType) -> None:
    """What it draws is no blank page: there is ink of many colours."""
    from PIL import Image

    export(built, tmp_path / "out")
    (path,) = (tmp_path / "out").iterdir()
    shot = tmp_path / "page.png"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,1400", f"--screenshot={shot}")
    subprocess.run(
        [peers.need("chromium"), *options, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()],
        check=True, capture_output=True, timeout=90,
    )  # fmt: skip
    colours = Image.open(shot).convert("RGB").getcolors(1 << 20)
    assert colours is not None and len(colours) > 200


def test_who_used_the_record_is_on_it(used, tmp_path):
    uses = section(export(used, tmp_path / "out"), "Who used this record")
    assert uses.count("<tr>") == 4
    assert "Auditor B" in uses and "call back" in uses and "replayed it &lt;fast&gt;" in uses
    assert "replayed another" not in uses and "waits" not in uses


def test_a_clock_that_was_set_back_is_said_and_stays_on_the_axis(tmp_path: Path) -> None:
    import asyncio

    from esi_room import events as e
    from esi_room.audit.export.case import load
    from esi_room.audit.export.page import axis_of
    from esi_room.clock import ManualClock, parse_rfc3339
    from esi_room.record.journal import Identity, Journal

    began_ns = parse_rfc3339("2026-03-02T08:00:00Z")

    async def write() -> str:
        clock = ManualClock(began_ns)
        async with Journal.open(tmp_path, clock, Identity(room="esi-1", timezone="UTC")) as journal:
            record = await journal.switch("procedure", "a case")
            clock.advance(600)
            phase = e.ProcedurePhase(phase="guidance", previous=None, origin="staff", reason=None)
            await journal.commit(e.Event(source="room", data=phase, received=clock.now()))
            clock.step(-3600)
            step = e.ClockStep(step_s=-3600.0)
            await journal.commit(e.Event(source="room", data=step, received=clock.now()))
            clock.advance(60)
            await journal.switch("standby", "over")
            return record

    case = load(tmp_path / "records" / asyncio.run(write()))
    axis = axis_of(case)
    assert (axis.begin_ns - began_ns, axis.end_ns - began_ns) == (-3000 * NS, 600 * NS)
    from esi_room.audit.export import page as record_page

    assert "the room&#x27;s clock was set by -3600 s" in record_page.page(case)
