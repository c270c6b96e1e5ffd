"""What the pages are made of: the files of `static/`, `config.json` and the commands' schemas.

The pages name everything relative to themselves, so that a static server can keep them in any folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from esi_room.outputs import asyncapi

STATIC = Path(__file__).parent / "static"
PAGES = {"/": "wall.html", "/console": "console.html"}
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
