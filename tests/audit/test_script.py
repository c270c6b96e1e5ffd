"""What a replay publishes: the lines of the record, and the states that the room showed."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from virtual.room import Played

from esi_room.audit.replay.script import Picture, Script, opening
from esi_room.audit.replay.span import place
from esi_room.audit.replay.states import Message
from esi_room.errors import CommandRefused, ConfigurationError


def script(record: Path, begin: str | None = None, end: str | None = None, **more: Any) -> list[Message]:
    opened, _ = opening(record)
    span = [None if text is None else place(text, opened) for text in (begin, end)]

    async def messages() -> list[Message]:
        return [message async for message in Script(record, begin=span[0], end=span[1], **more).messages()]

    return asyncio.run(messages())


def lines(messages: list[Message]) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in messages if message.entry]


def states(messages: list[Message], topic: str) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in messages if message.topic == topic]


def content(states: list[dict[str, Any]]) -> list[str]:
    """What a display shows, without how far it had read and when it was said; each once where it was said again."""
    said = [json.dumps({k: v for k, v in s.items() if k not in ("as_of", "published_at")}) for s in states]
    return [each for each, before in zip(said, [None, *said], strict=False) if each != before]


def test_every_line_goes_out_octet_for_octet_on_its_own_topic(record: Path) -> None:
    sent = [message for message in script(record) if message.entry]
    assert b"".join(message.payload for message in sent) == (record / "journal.jsonl").read_bytes()
    assert {message.topic for message in sent if b'"type":"vitals.numeric"' in message.payload} == {
        "event/vitals/numeric"
    }
    assert not any(message.retain for message in sent)


def test_it_is_the_same_each_time_also_from_a_copy_elsewhere(record: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(record, tmp_path / record.name)
    assert script(record) == script(record) == script(copy)


@pytest.mark.parametrize("topic", ["state/vitals", "state/pump", "state/procedure", "state/alerts"])
def test_the_states_are_those_that_the_room_showed(quick: Played, record: Path, topic: str) -> None:
    live = [json.loads(m.payload) for m in quick.messages if m.topic == f"esi/esi-1/{topic}" and m.payload]
    shown = content([state for state in live if state["as_of"]["record"] == record.name])
    again = content(states(script(record), topic))
    assert len(shown) > 1
    assert [state for state in shown if state not in again] == []
    assert again[-1] == shown[-1]


def test_messages_come_in_the_order_of_time_and_with_the_spacing_of_then(record: Path) -> None:
    messages = script(record)
    moments = [message.at_ns for message in messages]
    assert moments == sorted(moments)
    received = [(line["seq"], line["mono_ns"]) for line in lines(messages)]
    for (seq, mono_ns), message in zip(received, (m for m in messages if m.entry), strict=True):
        assert message.at_ns >= mono_ns and message.at_ns - mono_ns < 1e9, seq


def test_a_phase_to_a_phase(record: Path) -> None:
    messages = script(record, "guidance", "recovery")
    sent = lines(messages)
    phases = [line["data"]["phase"] for line in sent if line["type"] == "procedure.phase"]
    assert (sent[0]["type"], phases) == ("procedure.phase", ["guidance", "injection"])
    first = next(message for message in messages if message.topic == "state/vitals")
    assert json.loads(first.payload)["values"], "what was known when it begins, comes with it"
    assert first.at_ns == messages[0].at_ns


def test_from_a_time_on_the_rooms_clock(record: Path) -> None:
    opened, _ = opening(record)
    assert opened.received.startswith("2026-03-02T08:00:14")
    [first, *_] = lines(script(record, "9:00:30"))  # Berlin, in winter
    assert "2026-03-02T08:00:30" <= first["received"] < "2026-03-02T08:00:33"
    assert lines(script(record, "2026-03-02T08:00:30Z"))[0] == first


@pytest.mark.parametrize("text", ["guidence", "25:00", "2026-03-02", "1:2:3:4"])
def test_a_place_that_is_none_is_refused_with_what_is_allowed(record: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="guidance, injection"):
        place(text, opening(record)[0])


def test_a_place_that_the_record_never_reaches(record: Path) -> None:
    with pytest.raises(CommandRefused, match="nothing between"):
        script(record, "follow_up")


def test_pictures_are_shown_when_their_entry_comes_and_one_that_fails_says_why(record: Path) -> None:
    asked: list[Path] = []

    async def picture(path: Path) -> Picture:
        asked.append(path)
        return Picture(b"jpeg", None) if len(asked) == 1 else Picture(None, "it cannot be decoded")

    messages = script(record, pictures=picture)
    assert [m.payload for m in messages if m.topic == "image/last"] == [b"", b"jpeg"]
    assert all(path.is_file() for path in asked)
    last = states(messages, "state/carm")[-1]
    assert (last["shown_sha256"], last["preview_problem"]) == (asked[0].stem, "it cannot be decoded")


def test_status_says_that_it_runs_and_that_it_is_over(record: Path) -> None:
    first, last = states(script(record), "status")
    assert (first["status"], first["record"]) == ("online", record.name)
    assert (last["status"], last["problem"]) == ("offline", "the replay ended")


def test_what_no_longer_is_an_entry_is_passed_over_and_no_link_leads_out_of_the_record(
    record: Path, tmp_path: Path
) -> None:
    """Only a record that does not hold has such things; it may be replayed all the same."""
    copy = shutil.copytree(record, tmp_path / record.name)
    path = copy / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    spoiled = [lines[0], lines[1][:40] + b"\n", lines[2].replace(b"device.state", b"a/#"), b"\xff\n", *lines[3:]]
    path.write_bytes(b"".join(spoiled) + b'{"v":1')
    for frame in (copy / "frames").iterdir():
        frame.unlink()
        frame.symlink_to("/etc/hostname")

    async def picture(path: Path) -> Picture:
        raise AssertionError(path)

    messages = script(copy, pictures=picture)
    assert [m.payload for m in messages if m.entry] == [lines[0], *lines[3:]]
    assert states(messages, "state/carm")[-1]["preview_problem"] == "its file is not there"
