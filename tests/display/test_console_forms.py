"""The console's forms: what a published schema allows, a form can say; what it does not allow, it says in words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import pytest_asyncio
from display_rig import Nats, a_room
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser, Page
from schema_values import values

from esi_room.commands import COMMANDS
from esi_room.display.site import schemas

ZONE = ZoneInfo("Europe/Berlin")
SCHEMAS: dict[str, Any] = {name: msgspec.json.decode(schemas()[f"command.{name}.json"]) for name in COMMANDS}
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")
CARRIED = {"id": "1", "actor": "Dr. A", "client": "console"}

# For each value: the form of its schema with the value in it, on the page, and what stands there read back.
THROUGH_THE_FORM = """async (tries) => {
  const at = (name) => import(`/static/console/${name}.js`);
  const [{formOf}, {fieldsOf}, values] = await Promise.all([at("schema"), at("groups"), at("values")]);
  const zone = "Europe/Berlin";
  return tries.map(({name, schema, value}) => {
    const {fields} = formOf(schema, ["record"]);
    const made = fieldsOf(name, fields, values.draftOfGroup(fields, value, zone));
    document.body.replaceChildren(...made.elements);
    return values.readGroup(fields, made.draft(), zone);
  });
}"""

# What a person may have typed, in the form of a schema with one field.
TYPED = """async ([schema, draft]) => {
  const at = (name) => import(`/static/console/${name}.js`);
  const [{fieldOf}, values, words] = await Promise.all([at("schema"), at("values"), at("words")]);
  const field = fieldOf("volume_ml", schema, true, schema);
  const {value, problems} = values.readField(field, draft, "Europe/Berlin", "volume_ml");
  return [value ?? null, problems.map(words.wrong).join()];
}"""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def blank(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """A page of the server's with nothing on it."""
    folder = tmp_path_factory.mktemp("forms")
    async with a_room(Nats(folder / "broker"), folder) as room:
        page = await browser.new_page(locale="en-GB")
        await page.goto(room.url + "static/texts.js")
        yield page
        await page.close()


def same(value: Any) -> Any:
    """What a value says: moments in the room's time, choices in no order, empty ones left out."""
    if isinstance(value, msgspec.Struct):
        fields = {name: same(getattr(value, name)) for name in value.__struct_fields__}
        return {name: each for name, each in fields.items() if each not in (None, {}, [])}
    if isinstance(value, tuple | list):
        return sorted((same(each) for each in value), key=str)
    if isinstance(value, str) and MOMENT.fullmatch(value):
        return datetime.fromisoformat(value).astimezone(ZONE).replace(tzinfo=None)
    return value


@st.composite
def tries(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Some forms, each with a value that its schema allows."""
    names = draw(st.lists(st.sampled_from(sorted(SCHEMAS)), min_size=1, max_size=4))
    return [(name, draw(values(SCHEMAS[name]))) for name in names]


@given(tries())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
async def test_what_the_room_takes_the_form_can_say(blank: Page, tries: list[tuple[str, Any]]) -> None:
    told = [{"name": name, "schema": SCHEMAS[name], "value": value} for name, value in tries]
    for (name, value), read in zip(tries, await blank.evaluate(THROUGH_THE_FORM, told), strict=True):
        assert read["problems"] == [], name
        kind = COMMANDS[name]
        said = msgspec.convert({**value, **CARRIED}, kind)
        assert same(msgspec.convert({**read["value"], **CARRIED}, kind)) == same(said), name


@pytest.mark.parametrize("name", sorted(SCHEMAS))
async def test_every_form_renders_and_an_empty_one_says_what_is_missing(blank: Page, name: str) -> None:
    """What the form asks for first is what the room would refuse to go without."""
    empty = """async ({name, schema}) => {
      const at = (name) => import(`/static/console/${name}.js`);
      const [{formOf}, {fieldsOf}, values] = await Promise.all([at("schema"), at("groups"), at("values")]);
      const {fields} = formOf(schema, ["record"]);
      const made = fieldsOf(name, fields, values.blankGroup(fields));
      document.body.replaceChildren(...made.elements);
      const named = (each) => each.ariaLabel || each.textContent || each.labels?.[0]?.textContent;
      const unnamed = [...document.querySelectorAll("input, select, textarea, button")].filter((each) => !named(each));
      return [values.readGroup(fields, made.draft(), "UTC").problems.map((each) => each.path), unnamed.length];
    }"""
    missing, unnamed = await blank.evaluate(empty, {"name": name, "schema": SCHEMAS[name]})
    definition = SCHEMAS[name]["$defs"][SCHEMAS[name]["$ref"].rpartition("/")[2]]
    needed = set(definition["required"]) - set(CARRIED)
    empty_lists = {n for n in needed if definition["properties"][n].get("items", {}).get("enum")}
    bounded = {n for n in empty_lists if definition["properties"][n].get("minItems")}
    assert {path.partition(".")[0] for path in missing} == needed - (empty_lists - bounded)
    assert unnamed == 0


ML = {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "x-unit": "mL"}


@pytest.mark.parametrize(
    ("typed", "value", "words"),
    [
        ("2", 2, ""),
        (" 2.5 ", 2.5, ""),
        ("2,5", 2.5, ""),
        (".5", 0.5, ""),
        ("1,000", None, "one or a thousand"),
        ("0", None, "must be above 0 to 100"),
        ("101", None, "must be above 0 to 100"),
        ("two", None, "is no number"),
        ("", None, "is missing"),
        ("0x10", None, "is no number"),
        ("Infinity", None, "is no number"),
    ],
)
async def test_a_number_is_what_was_meant_or_is_said_to_be_none(
    blank: Page, typed: str, value: float | None, words: str
) -> None:
    read, said = await blank.evaluate(TYPED, [ML, typed])
    assert read == value
    assert (words in said) if words else (said == "")


@pytest.mark.parametrize(
    ("local", "zone", "moment"),
    [
        ("2026-11-30T09:41", "Europe/Berlin", "2026-11-30T08:41:00Z"),
        ("2026-07-01T09:41:30", "Europe/Berlin", "2026-07-01T07:41:30Z"),
        ("2026-07-01T23:59", "America/New_York", "2026-07-02T03:59:00Z"),
        ("2026-03-29T02:30", "Europe/Berlin", None),  # the hour that the change to summer time leaves out
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00Z"),  # comes twice: the first
        ("2026-02-30T02:30", "UTC", None),
        ("soon", "UTC", None),
    ],
)
async def test_a_time_is_of_the_rooms_clock_whatever_the_tablets_zone(
    blank: Page, local: str, zone: str, moment: str | None
) -> None:
    read = await blank.evaluate(
        "async (args) => (await import('/static/console/zone.js')).localToMoment(...args)", [local, zone]
    )
    assert read == moment
    if moment is not None:
        there = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        assert there.isoformat().startswith(local)
        assert datetime.fromisoformat(moment).tzinfo == UTC
