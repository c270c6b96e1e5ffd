"""The broker goes away in the middle of a procedure: afterwards everything arrives, in order; `status` tells."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e_rig import call, fill_holes, missing, published_equals_journal, until
from e2e_wire import masimo_line, masimo_number

Make = Callable[..., Any]
BACKLOG = 3000


def mark(room: Any, *words: str) -> None:
    """What the staff say, by the command line."""
    said = call("mark", *words, "--config", room.configuration, "--actor", "Dr. Test")
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("wiped", [False, True], ids=["kept", "wiped"])
@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_everything_arrives_after_an_outage(
    kind: str, wiped: bool, make_broker: Make, make_room: Make, make_line: Make, subscribe: Make
) -> None:
    broker, line = make_broker(kind), make_line("oximeter-1")
    display = subscribe(broker.port).ready()
    room = make_room(broker, {"oximeter-1": ("masimo_ascii1", line.path)}).start()
    mark(room, "start", "procedure=L4/5 interlaminar")
    sent = line.play((masimo_line(n) for n in itertools.count()), 0.001)
    mark(room, "phase", "phase=evaluation")
    broker.stop(kill=wiped)
    if wiped:
        broker.forget()
    at = len(room.numeric("oximeter-1"))
    until(lambda: len(room.journal()) > at + BACKLOG, f"{BACKLOG} entries are written while the broker is away")
    subscriptions = display.subscribed
    broker.start()
    until(lambda: display.subscribed > subscriptions, "the display is back")
    # The states are right at once, whatever the backlog is.
    until(lambda: _is_now(display, room), "state/vitals is of now")
    until(lambda: display.last("status").get("status") == "online", "status online")
    assert display.last("state/procedure")["phase"] == "evaluation"
    line.quiet()
    mark(room, "phase", "phase=guidance")
    mark(room, "end")
    if wiped:  # the broker had taken lines that it then lost: a display asks for the holes it sees
        fill_holes(room, display)
    published_equals_journal(room, display, in_order=not wiped)
    numbers = [masimo_number(readings) for readings in room.numeric("oximeter-1")]
    assert numbers == list(range(len(sent))), "a line of the device is missing"
    assert room.stop() == 0
    room.verify()


def _is_now(display: Any, room: Any) -> bool:
    state = display.last("state/vitals")
    if not state:
        return False
    newest = json.loads(room.journal()[-1])
    return bool(state["as_of"]["record"] == newest["record"] and state["as_of"]["seq"] > newest["seq"] - BACKLOG // 2)


def test_status_is_a_birth_and_a_death(make_broker: Make, make_room: Make, subscribe: Make) -> None:
    broker = make_broker("mosquitto")
    display = subscribe(broker.port).ready()
    room = make_room(broker).start()

    def status(wanted: str) -> dict[str, Any]:
        until(lambda: display.last("status").get("status") == wanted, f"status {wanted}")
        found: dict[str, Any] = display.last("status")
        return found

    assert status("online")["record"] == room.entries()[0].record
    room.kill()
    assert status("offline")["problem"] == "it vanished without a word"
    room.start()
    assert status("online")["record"] == room.entries()[0].record
    assert room.stop(signal.SIGTERM) == 0
    assert status("offline")["problem"] == "the daemon was stopped"
    late = subscribe(broker.port, "late").ready()
    until(lambda: late.last("status"), "the retained status")
    assert late.last("status") == display.last("status")
    room.start()
    status("online")
    assert room.stop() == 0
    published_equals_journal(room, display)
    assert len({entry.record for entry in room.entries()}) == 1, "the restarts went on in the same record"


def test_the_room_starts_without_a_broker(make_broker: Make, make_room: Make, make_line: Make, subscribe: Make) -> None:
    broker, line = make_broker("mosquitto"), make_line("oximeter-1")
    broker.stop()
    room = make_room(broker, {"oximeter-1": ("masimo_ascii1", line.path)}).start()
    line.play((masimo_line(n) for n in itertools.count()), 0.01)
    until(lambda: len(room.numeric("oximeter-1")) > 50, "entries without a broker")
    outages = [said for said in room.log.read_text().splitlines() if '"broker_away"' in said]
    assert len(outages) == 1, "an outage is one line in the log"
    broker.start()
    display = subscribe(broker.port).ready()
    # Whoever comes first misses what was published before: it is there to be asked for, and the states are there.
    until(lambda: display.last("state/device/oximeter-1").get("state") == "connected", "the device's state")
    line.quiet()
    assert room.stop() == 0
    time.sleep(0.1)
    seen = display.events()
    assert seen and set(seen) <= set(room.journal()), missing(room.journal(), display)
    room.verify()
