"""The server as a browser meets it."""

from __future__ import annotations

from typing import Any

from display_rig import FakeRoom, until_page
from playwright.async_api import Page

SUBSCRIBE = """async (root) => {
  const {default: mqtt} = await import("/static/vendor/mqtt.js");
  const config = await (await fetch("/config.json")).json();
  const url = new URL(config.mqtt, location.href.replace(/^http/, "ws")).href;
  const client = mqtt.connect(url, {clientId: config.client + "-t1", protocolVersion: 4, timerVariant: "native"});
  window.got = [];
  client.on("message", (topic, payload) => window.got.push([topic, payload.toString()]));
  await client.subscribeAsync(`esi/${config.room}/state/#`, {qos: 1});
  return config;
}"""


async def test_a_page_subscribes_through_the_server(either_room: FakeRoom, page: Page) -> None:
    await either_room.state("vitals", {"values": []})
    await page.goto(either_room.url + "console")
    config: dict[str, Any] = await page.evaluate(SUBSCRIBE)
    assert config["room"] == "esi-1"
    await until_page(page, "window.got.length == 1")
    assert await page.evaluate("window.got") == [["esi/esi-1/state/vitals", '{"values": []}']]
