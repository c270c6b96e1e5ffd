"""The fonts of the report: DejaVu Sans Condensed, embedded, the letters in use only. Put into the package when it is
built (`hatch_build.py`).

It has the letters of European languages, Greek and Cyrillic, and signs such as ≥, µ and ₂. A character that it has not
is shown as its number, `[U+674E]`, and never left out.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib import resources

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from esi_room.errors import EsiRoomError

PLAIN, BOLD = "DejaVuSansCondensed", "DejaVuSansCondensed-Bold"
_SPACES = dict.fromkeys("\t\n\r\xa0\u2028\u2029", " ")


def register() -> None:
    """Make them known; once is enough."""
    for name in (PLAIN, BOLD):
        if name not in pdfmetrics.getRegisteredFontNames():
            with resources.as_file(resources.files(__package__) / "fonts" / f"{name}.ttf") as path:
                if not path.is_file():
                    raise EsiRoomError(
                        f"{path.name} is not there, which installing this package puts there: do it again"
                    )
                pdfmetrics.registerFont(TTFont(name, str(path)))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)


def shown(text: str) -> str:
    """As the font can show it."""
    return "".join(map(_shown, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=4096)
def _shown(letter: str) -> str:
    if letter in _SPACES:
        return _SPACES[letter]
    known: dict[int, int] = pdfmetrics.getFont(PLAIN).face.charToGlyph
    return letter if ord(letter) in known else f"[U+{ord(letter):04X}]"
