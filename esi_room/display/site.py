"""What the pages are made of: the files of `static/`, `config.json` and the commands' schemas.

The pages name everything relative to themselves, so that a static server can keep them in any folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from esi_room.display.sessions import Session
from esi_room.display.settings import DisplaySettings
from esi_room.outputs import asyncapi

STATIC = Path(__file__).parent / "static"
PAGES = {"/": "wall.html", "/console": "console.html"}
# What only this server has a use for; pages stand at the top of the site, where their relative names lead right.
_OURS = {
    "wall.html", "console.html", "records.html", "record.html", "login.html", "login.js", "login.css",
    "records.css", "records.js", "pins.json",
}  # fmt: skip
Json = dict[str, Any]


def schemas() -> dict[str, str]:
    """File name -> text: each command's JSON Schema, the follow-up's, the answer's, and an index of the commands."""
    named = asyncapi.schemas()
    commands = [name.removeprefix("command.") for name in named if name.startswith("command.")]
    wanted: dict[str, Json] = {f"command.{name}.json": named[f"command.{name}"] for name in commands}
    wanted["reply.json"] = named["reply"]
    wanted["event.clinical.follow_up.json"] = named["event.clinical.follow_up"]  # the one form without a command
    wanted["index.json"] = {"commands": commands}
    return {name: json.dumps(content, ensure_ascii=False) for name, content in wanted.items()}


def configuration(settings: DisplaySettings, session: Session) -> Json:
    """`config.json`: what a page needs to know, and nothing that is secret beyond its own session."""
    return {
        "room": settings.room,
        "timezone": settings.timezone,
        "mqtt": "/mqtt",
        "client": session.client,
        "user": session.name,
        "role": session.role,
        "may": session.may._asdict(),
        "csrf": session.csrf,
        "pages": {
            "wall": "/",
            "console": "/console" if session.may.console else None,
            "records": "/records" if session.may.records else None,
            "logout": "/logout" if session.leaves else None,
        },
    }


def write(settings: DisplaySettings, folder: Path, mqtt: str) -> int:
    """The site for a web server that knows nothing of us; how many files that makes. `mqtt`: the broker's own URL."""
    config = {
        "room": settings.room,
        "timezone": settings.timezone,
        "mqtt": mqtt,
        "client": "display",
        "user": None,
        "role": None,
        "may": {"console": True, "records": False, "identity": True},  # as far as the broker lets it
        "csrf": "",
        "pages": {"wall": "index.html", "console": "console.html", "records": None, "logout": None},
    }
    texts = {f"schemas/{name}": text for name, text in schemas().items()}
    texts["config.json"] = json.dumps(config, indent=2) + "\n"
    files = {f"static/{path.relative_to(STATIC).as_posix()}": path for path in sorted(STATIC.rglob("*"))}
    wanted = {name: path.read_bytes() for name, path in files.items() if path.is_file() and path.name not in _OURS}
    wanted |= {"index.html": (STATIC / PAGES["/"]).read_bytes()}
    wanted |= {"console.html": (STATIC / PAGES["/console"]).read_bytes()}
    wanted |= {name: text.encode() for name, text in texts.items()}
    for name, octets in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
    return len(wanted)
