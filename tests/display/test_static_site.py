"""The pages on a web server that knows nothing of them, in Chromium, with the broker's own WebSocket."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from display_rig import ROOM, Nats, a_room, free_port
from playwright.async_api import Page, expect

from esi_room.display import site
from esi_room.display.settings import DisplaySettings
from esi_room.outputs.client import BrokerSettings


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address; the site is one level down, to show that it may lie anywhere."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield tmp_path / "web" / "rooms" / "one", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


async def test_wall_and_console_from_any_web_server(web: tuple[Path, str], tmp_path: Path, page: Page) -> None:
    folder, origin = web
    port = free_port()
    settings = DisplaySettings(
        room=ROOM,
        timezone="UTC",
        data=tmp_path,
        host="127.0.0.1",
        port=1,
        broker=BrokerSettings(url="mqtt://127.0.0.1:1", client_id=""),
    )
    site.write(settings, folder, f"ws://127.0.0.1:{port}/mqtt")
    assert json.loads((folder / "config.json").read_text())["client"] == "display"
    async with a_room(Nats(tmp_path / "b", port, (origin,)), tmp_path):
        await page.goto(f"{origin}/rooms/one/")
        await expect(page.get_by_text("connected", exact=True)).to_be_visible()
        await page.goto(f"{origin}/rooms/one/console.html")
        await expect(page.get_by_text("Connected")).to_be_visible()
        await page.goto("about:blank")
