"""`export --format pdf`, as pypdf and poppler read it: what is on which page, and that nothing of the page is lost."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from pypdf import PdfReader

from esi_room.audit.export import page as html
from esi_room.audit.export.case import Case, load
from esi_room.audit.export.page.axis import drawing
from esi_room.audit.export.page.lanes import lanes
from esi_room.audit.export.page.series import curves
from esi_room.audit.export.pdf import blocks, figure, styles, typeface
from esi_room.cli import main


def export(directory: Path, to: Path, *more: str) -> Path:
    CliRunner().invoke(main, ["export", str(directory), "--format", "pdf", "--to", str(to), *more])
    (path,) = to.iterdir()
    return path


def pages(path: Path) -> list[str]:
    """The words of each."""
    return [" ".join(each.extract_text().split()) for each in PdfReader(path).pages]


@pytest.fixture
def report(built: Any, tmp_path: Path) -> Path:
    return export(built.directory, tmp_path / "out")


def noted(built: Any, words: str) -> None:
    """Another note in the journal (which then no longer verifies)."""
    path = built.directory / "journal.jsonl"
    octets = path.read_bytes()
    assert b"of another patient's" in octets
    path.write_bytes(octets.replace(b"of another patient's", words.encode()))


def test_the_first_page_is_the_case_on_one_axis(report):
    first = pages(report)[0]
    assert "Interlaminar ESI L4/5" in first and "Verified: " in first
    for label in ("Phases", "SpO₂ %", "Cuff mmHg", "Delivery", "Images", "Dose (DAP)", "Alerts", "Gaps", "Corrections"):
        assert label in first
    assert "131/81" in first and "dexamethasone, 2 mL" in first and "R4: no contrast before the injectate" in first
    assert "#4 pain: was score 8; is now score 6" in first
    assert "2 images · fluoroscopy 13 s · DAP 25 µGy·m² · delivered 2 mL dexamethasone" in first


def test_then_come_the_tables(report):
    first, *rest = pages(report)
    told = " ".join(rest)
    for title in ("After the seal: amendments", "Gaps: nothing is known", "Vitals", "Said by the staff"):
        assert title in told and title not in first
    assert "score 8" in told and "score 5" in told  # old and new
    assert "heart_rate_bpm" in told and "came late, into" in told


def test_pages_are_numbered_and_say_that_it_verifies(built, report):
    found = pages(report)
    assert len(found) >= 2
    for n, words in enumerate(found, 1):
        assert f"page {n} of {len(found)}" in words and f"{built.record}: verifies" in words


def test_poppler_reads_the_same(report, peers):
    done = subprocess.run([peers.need("pdftotext"), "-layout", report, "-"], capture_output=True, text=True, check=True)
    assert not done.stderr
    assert "µGy·m²" in done.stdout and "Dr. Ä" in done.stdout and "SpO₂" in done.stdout


def test_it_is_drawn_with_its_pictures(report, tmp_path, peers):
    render = [peers.need("pdftoppm"), "-r", "60", "-f", "1", "-l", "1", "-png", report, tmp_path / "first"]
    subprocess.run(render, check=True, capture_output=True)
    (path,) = tmp_path.glob("first*.png")
    colours = {colour for _, colour in Image.open(path).convert("RGB").getcolors(1 << 20) or ()}
    for wanted in (styles.colours()["broken"], "#2e7d32", "#c8c8c8"):  # an alert, a delivery, the images' square
        red, green, blue = bytes.fromhex(wanted[1:])
        assert any(abs(r - red) + abs(g - green) + abs(b - blue) < 12 for r, g, b in colours), wanted


def test_a_broken_record_says_so_on_every_page(broken, tmp_path):
    path = export(broken.directory, tmp_path / "out", "--even-if-broken")
    assert ".BROKEN." in path.name
    found = pages(path)
    assert all("BROKEN: this record does not verify." in words and "journal.jsonl:" in words for words in found)
    assert not [words for words in found if ": verifies" in words]
    assert (PdfReader(path).metadata or {})["/Title"].startswith("BROKEN")


def test_who_the_patient_is_only_where_that_is_asked_for(built, report, tmp_path):
    assert "Muster" not in " ".join(pages(report)) and b"Muster" not in report.read_bytes()
    assert "Muster^Erika, 4711, 1961-04-12" in pages(export(built.directory, tmp_path / "b", "--identity"))[0]


def test_it_is_private_and_the_same_every_time(built, report, tmp_path):
    assert report.read_bytes() == export(built.directory, tmp_path / "b").read_bytes()
    assert report.stat().st_mode & 0o777 == 0o600


def test_its_fonts_are_in_it(report, peers):
    peers.need("pdftotext")
    shown = subprocess.run(["pdffonts", report], capture_output=True, text=True, check=True).stdout
    rows = shown.splitlines()[2:]
    assert rows and all("DejaVuSansCondensed" in row for row in rows if "Helvetica" not in row)
    assert [row.split()[-5] for row in rows if "DejaVu" in row] == ["yes"] * len([r for r in rows if "DejaVu" in r])


def test_every_letter_is_there_or_its_number(built, tmp_path):
    noted(built, "≥ µ ₂ Ömer Łukasz Ελλάδα Москва 李\\u0007")
    told = " ".join(pages(export(built.directory, tmp_path / "out", "--even-if-broken")))
    assert "≥ µ ₂ Ömer Łukasz Ελλάδα Москва [U+674E]" in told


def test_a_long_note_is_whole(built, tmp_path):
    noted(built, "word " * 790 + "end")  # as long as a note can be
    found = pages(export(built.directory, tmp_path / "out", "--even-if-broken"))
    assert sum(words.count("word word") for words in found) > 600 and any("word end" in words for words in found)


def test_its_tables_are_in_the_outline_and_marks_lead_to_them(report):
    reader = PdfReader(report)
    titles = [each.title for each in reader.outline if not isinstance(each, list)]
    assert "Alerts" in titles and "Said by the staff" in titles
    links = [each.get_object() for each in reader.pages[0].get("/Annots", [])]
    assert len([each for each in links if each["/Subtype"] == "/Link"]) >= 5


def _figure(case: Case) -> str:
    axis = html.axis_of(case)
    return drawing(axis, lanes(case, axis, curves(case), {}))


def test_all_that_the_drawing_is_made_of_can_be_drawn(built):
    svg = _figure(load(built.directory))
    tags = set(re.findall(r"<([a-z]+)", svg)) - {"svg", "g", "a", "title"}
    assert tags <= set(figure.SHAPES)
    kinds = {kind for found in re.findall(r'class="([^"]+)"', svg) for kind in found.split()}
    plain = {"timeline", "beside", "medium", "low", "p0"}  # as the sheet says of every text, and of every such bar
    assert {kind for kind in kinds if not styles.known(kind)} <= plain


def test_the_page_and_the_report_have_the_same_colours():
    assert styles.style_of("rect", "alert high")["fill"] == styles.colours()["broken"]
    assert styles.style_of("text", "inside")["fill"] == "#ffffff"
    assert styles.style_of("text", "label")["font-weight"] == "600"


def test_columns_share_the_width():
    typeface.register()
    rows = [[["Time"], ["By"], ["Says"]], [["01:56:20"], ["Nurse Sample"], ["word " * 500]]]
    time, by, says = blocks._widths(rows, 780.0)
    assert time + by + says == pytest.approx(780.0)
    assert says > 600 and by > 50
