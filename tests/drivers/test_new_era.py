"""New Era pumps: replies, latched alarms, and the events that follow from what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from esi_room.checksums import crc16_xmodem
from esi_room.drivers import new_era
from esi_room.drivers.contract import Identified, Refused, Said
from esi_room.errors import ConfigurationError
from esi_room.events import PumpAlarm, PumpCompleted, PumpStarted, PumpStatus, PumpStopped


def basic(text: str) -> bytes:
    return b"\x02" + text.encode() + b"\x03"


def safe(text: str) -> bytes:
    data = text.encode()
    return bytes([2, len(data) + 4]) + data + crc16_xmodem(data).to_bytes(2, "big") + b"\x03"


class Bench:
    """A pump on the bench that answers what the test says, and its driver."""

    def __init__(self, fed: Any, framed: Any = basic) -> None:
        self.fed, self.framed, self.now_s = fed, framed, 0.0
        self.asked: list[str] = []

    def ask(self, after_s: float = 0.3) -> str | None:
        """One tick; the command that goes out, without framing."""
        self.now_s += after_s
        asks = self.fed.driver.on_tick(self.now_s)
        assert len(asks) <= 1
        if not asks:
            return None
        octets = asks[0].octets
        assert octets in self.fed.driver.info.sends
        self.fed.driver.on_sent(octets)
        self.asked.append(octets[2:-3].decode() if octets[0] == 2 else octets[:-1].decode())
        return self.asked[-1]

    def pump(self, state: str, **answers: str) -> list[Any]:
        """One exchange: the pump is in `state`; `answers` by command."""
        command = self.ask()
        assert command is not None
        told = self.fed(self.framed("00" + state + ANSWERS.get(command, "") * (command not in answers)
                                    + answers.get(command, "")))  # fmt: skip
        return [out.data if isinstance(out, Said) else out for out in told]

    def go_round(self, state: str, exchanges: int = 11, **answers: str) -> list[Any]:
        return [told for _ in range(exchanges) for told in self.pump(state, **answers)]


ANSWERS = {
    "VER": "NE1000V3.923",
    "DIA": "14.43",
    "RAT": "500.0MH",
    "VOL": "3.000ML",
    "DIR": "INF",
    "DIS": "I0.000W0.000ML",
}


def kinds(told: list[Any]) -> list[type]:
    return [type(data) for data in told if type(data) is not PumpStatus]


@pytest.fixture
def bench(make: Any) -> Bench:
    return Bench(make("new_era"))


def test_every_device_frame_is_framed_as_the_vectors_say(make: Any, vectors: Any) -> None:
    for frame in vectors("new_era"):
        if frame["dir"] != "device":
            continue
        mode = "safe" if frame["id"].startswith("safe") else "basic"
        fed = make("new_era", mode=mode, address=frame["expected"].get("addr", 0))
        octets = frame["octets"]
        for octet in octets:
            fed(bytes([octet]))
        assert fed.said() == [] or "A?" in str(frame["expected"])
        if frame["expected"].get("incomplete"):
            assert fed.receiver.pending == len(octets)
            fed(b"", at_s=0.6)
            assert fed.rejects[0] == "pause inside a frame"
        else:
            assert (fed.frame_bytes == len(octets)) == frame["checksum_ok"]


def test_replies_become_values_in_ml_and_ml_h(bench: Bench) -> None:
    bench.go_round("I", DIS="I0.974W0.959ML")
    status = bench.fed.said(PumpStatus)[-1]
    assert status == PumpStatus(
        state="infusing",
        rate_ml_h=500.0,
        delivered_ml=0.974,
        target_ml=3.0,
        pressure_mmhg=None,
        drug=None,
        withdrawn_ml=0.959,
        diameter_mm=14.43,
        direction="infuse",
        stale_after_s=6.0,
    )
    assert Identified("New Era NE1000, firmware 3.923") in bench.fed.outputs


@pytest.mark.parametrize(
    ("text", "rate_ml_h"),
    [("500.0UM", 30.0), ("2.5MM", 150.0), ("250.UH", 0.25), (".5MH", 0.5), ("7MH", 7.0)],
)
def test_rates_in_every_unit(bench: Bench, text: str, rate_ml_h: float) -> None:
    bench.go_round("S", RAT=text)
    assert bench.fed.said(PumpStatus)[-1].rate_ml_h == pytest.approx(rate_ml_h)


def test_microlitres_become_millilitres(bench: Bench) -> None:
    bench.go_round("S", VOL="250.0UL", DIS="I12.50W0.000UL")
    status = bench.fed.said(PumpStatus)[-1]
    assert (status.target_ml, status.delivered_ml) == (0.25, 0.0125)


@pytest.mark.parametrize(
    ("letter", "state", "detail"),
    [
        ("I", "infusing", None),
        ("W", "withdrawing", None),
        ("S", "stopped", None),
        ("P", "paused", None),
        ("T", "paused", "timed pause"),
        ("U", "paused", "waiting for trigger"),
        ("X", "purging", None),
    ],
)
def test_the_first_reply_gives_a_status_and_invents_no_event(
    bench: Bench, letter: str, state: str, detail: str | None
) -> None:
    told = bench.pump(letter)
    assert [(s.state, s.detail) for s in told if isinstance(s, PumpStatus)] == [(state, detail)]
    assert kinds(told) == [Identified]


def test_start_pause_resume_stop(bench: Bench) -> None:
    bench.go_round("S")
    assert kinds(bench.pump("I")) == [PumpStarted]
    assert kinds(bench.go_round("I", 5, DIS="I1.000W0.000ML")) == []
    assert kinds(bench.pump("P")) == [PumpStopped]
    assert kinds(bench.pump("W")) == [PumpStarted]
    assert kinds(bench.pump("S")) == [PumpStopped]
    assert kinds(bench.go_round("X", 3)) == []


def test_end_of_volume_is_told_with_the_last_volume(bench: Bench) -> None:
    bench.go_round("S")
    bench.go_round("I", DIS="I2.900W0.000ML")
    bench.pump("I", DIS="I2.990W0.000ML")
    while (command := bench.ask()) == "DIS":
        bench.fed(basic("00II2.990W0.000ML"))
    told = bench.fed(basic("00S" + ANSWERS.get(command or "", "")))
    assert [type(o.data) for o in told] == [PumpStatus], "stopped, but not yet known whether complete"
    assert bench.ask() == "DIS", "the volume is asked first"
    told = bench.fed(basic("00SI3.000W0.000ML"))
    assert [type(o.data) for o in told] == [PumpCompleted, PumpStatus]
    assert told[0].data.delivered_ml == 3.0
    assert told[0].data.state == "stopped"


@pytest.mark.parametrize(
    ("before", "after", "target", "event"),
    [
        ("I0.000W0.000ML", "I3.000W0.000ML", "3.000ML", PumpCompleted),
        ("I0.000W0.000ML", "I2.999W0.000ML", "3.000ML", PumpStopped),
        ("I0.000W0.000ML", "I3.000W0.000ML", "0.000ML", PumpStopped),  # no target: it never ends by itself
        ("I3.000W0.000ML", "I4.000W0.000ML", "3.000ML", PumpStopped),  # the volume of the run before counts not
        ("I3.000W0.000ML", "I6.000W0.000ML", "3.000ML", PumpCompleted),
        ("I3.000W0.000ML", "I0.500W0.000ML", "3.000ML", PumpStopped),  # counter cleared in between
        ("I0.000W0.000ML", "?NA", "3.000ML", PumpStopped),
    ],
)
def test_complete_or_cut_short(bench: Bench, before: str, after: str, target: str, event: type) -> None:
    bench.go_round("S", DIS=before, VOL=target)
    told = bench.go_round("I", 1, DIS=before, VOL=target)
    told += bench.go_round("S", 4, DIS=after, VOL=target)
    assert [kind for kind in kinds(told) if kind is not Identified] == [PumpStarted, event]


def test_an_alarm_is_told_once_asked_again_and_ended_by_a_good_reply(bench: Bench) -> None:
    bench.go_round("S")
    bench.go_round("I", 3)
    command = bench.ask()
    told = [o.data for o in bench.fed(basic("00A?S"))]
    assert [type(d) for d in told] == [PumpAlarm, PumpStopped, PumpStatus]
    assert told[0] == PumpAlarm(code="A?S", text=new_era.pump.ALARMS["S"], active=True)
    assert told[2].state == "alarm"
    assert bench.ask() == command, "the alarm took the place of the answer"
    assert bench.fed(basic("00A?S")) == []
    assert bench.ask() == command
    told = [o.data for o in bench.fed(basic("00S" + ANSWERS.get(command or "", "")))]
    assert [type(d) for d in told] == [PumpAlarm, PumpStatus]
    assert not told[0].active
    assert [alarm.active for alarm in bench.fed.said(PumpAlarm)] == [True, False]


@pytest.mark.parametrize("code", ["R", "S", "T", "E", "O", "Z"])
def test_every_alarm_is_told(bench: Bench, code: str) -> None:
    bench.ask()
    told = [o.data for o in bench.fed(basic(f"00A?{code}"))]
    assert [type(d) for d in told] == [PumpAlarm, PumpStatus]


def test_after_a_power_loss_nothing_that_was_read_before_holds(bench: Bench) -> None:
    bench.go_round("S", DIS="I1.000W0.000ML")
    bench.ask()
    bench.fed(basic("00A?R"))
    status = bench.fed.said(PumpStatus)[-1]
    assert (status.delivered_ml, status.rate_ml_h, status.target_ml, status.diameter_mm) == (None,) * 4


def test_a_delivery_that_a_power_loss_ended_is_told_with_its_last_volume(bench: Bench) -> None:
    bench.go_round("S")
    bench.go_round("I", DIS="I0.200W0.000ML")
    bench.ask()
    alarm, stopped, status = [o.data for o in bench.fed(basic("00A?R"))]
    assert (alarm.code, type(stopped), stopped.delivered_ml) == ("A?R", PumpStopped, 0.2)
    assert (status.state, status.delivered_ml) == ("alarm", None)


def test_in_safe_mode_an_alarm_packet_of_the_pumps_own_answers_nothing(make: Any) -> None:
    bench = Bench(make("new_era", mode="safe"), safe)
    bench.go_round("I", 12)
    command = bench.ask()
    told = bench.fed(safe("00A?S"))
    assert [type(o.data) for o in told] == [PumpAlarm, PumpStopped, PumpStatus]
    assert bench.ask() is None, "the query is still unanswered"
    assert bench.fed(safe("00A?S")) == [], "this is its answer: the alarm again, now acknowledged"
    assert bench.ask() == command
    bench.fed(safe("00S" + ANSWERS.get(command or "", "")))
    assert [alarm.active for alarm in bench.fed.said(PumpAlarm)] == [True, False]


def test_in_safe_mode_an_alarm_comes_unasked(make: Any) -> None:
    fed = make("new_era", mode="safe")
    assert [type(o.data) for o in fed(safe("00A?R"))] == [PumpAlarm, PumpStatus]


def test_in_basic_mode_nothing_comes_unasked(make: Any) -> None:
    fed = make("new_era")
    assert fed(basic("00S")) == [Refused("unasked")]
    assert fed(basic("00A?S")) == [Refused("unasked")]


@pytest.mark.parametrize(("error", "again"), [("?", 0), ("?NA", 0), ("?OOR", 0), ("?COM", 1), ("?IGN", 1)])
def test_a_data_error_makes_a_value_unknown_or_the_query_asked_again(bench: Bench, error: str, again: bool) -> None:
    bench.go_round("S")
    assert bench.fed.said(PumpStatus)[-1].rate_ml_h == 500.0
    while bench.ask() != "RAT":
        bench.fed(basic("00S" + ANSWERS[bench.asked[-1]] if bench.asked[-1] else "00S"))
    bench.fed(basic("00S" + error))
    assert (bench.ask() == "RAT") == bool(again)
    if not again:
        assert bench.fed.said(PumpStatus)[-1].rate_ml_h is None


def test_an_answer_to_another_query_is_refused(bench: Bench) -> None:
    assert bench.ask() == "VER"
    assert bench.fed(basic("00S500.0MH")) == [Refused("answer does not fit")]
    assert bench.ask() is None, "still waiting"


def test_another_pumps_reply_is_refused(make: Any) -> None:
    bench = Bench(make("new_era", address=7))
    assert bench.ask() == "7VER"
    assert bench.fed(basic("00S")) == [Refused("another address")]
    assert bench.fed(basic("07SNE1000V3.923"))[0] == Identified("New Era NE1000, firmware 3.923")


def test_a_silent_pump_is_asked_three_times_then_something_else(bench: Bench) -> None:
    for _ in range(120):
        bench.ask(0.1)
    assert bench.asked == ["VER"] * 3 + ["DIS"] * 3


def test_one_exchange_at_a_time_two_to_four_a_second(bench: Bench) -> None:
    bench.go_round("S", 20)
    assert bench.asked[:11] == ["VER", "DIS", "", "DIS", "RAT", "DIS", "VOL", "DIS", "DIR", "DIS", "DIA"]
    bench.ask()
    assert bench.ask() is None


def test_an_unchanged_state_is_told_again_within_5_s(bench: Bench) -> None:
    bench.go_round("S", 12)
    told = bench.go_round("S", 60)
    assert 3 <= len([d for d in told if isinstance(d, PumpStatus)]) <= 6
    assert 60 * 0.3 / 3 > 5 > 13 * 0.3


def test_a_safe_packet_at_a_basic_driver_says_what_is_wrong(make: Any) -> None:
    fed = make("new_era")
    fed(safe("00S"))
    assert fed.rejects[0] == "safe mode packet"


def test_safe_mode_is_left_only_when_the_site_says_so(make: Any, vectors: Any) -> None:
    saf0 = next(f["octets"] for f in vectors("new_era") if f["id"] == "manual_safe_SAF0")
    assert saf0 not in make("new_era").driver.info.sends
    assert saf0 not in make("new_era", mode="safe").driver.info.sends
    bench = Bench(make("new_era", force_basic=True))
    assert saf0 in bench.fed.driver.info.sends
    assert bench.ask() == "SAF0"
    bench.fed(basic("00S"))
    assert bench.ask() == "VER"


def test_nothing_that_drives_the_pump_can_be_sent(make: Any, vectors: Any) -> None:
    driving = {"RUN", "STP", "PUR", "RAT_2", "VOL_3", "DIR_INF", "CLD_INF", "SAF_5"}
    frames = [f for f in vectors("new_era") if f["dir"] == "host"]
    for options in ({}, {"mode": "safe"}, {"force_basic": True}):
        sends = make("new_era", **options).driver.info.sends
        for frame in frames:
            if any(word in frame["id"] for word in driving):
                assert frame["octets"] not in sends


def test_reopening_forgets_everything(bench: Bench) -> None:
    bench.go_round("I")
    bench.fed.driver.on_open()
    assert kinds(bench.pump("S")) == [Identified]
    assert bench.fed.said(PumpStatus)[-1].delivered_ml is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"address": 100}, "address = 100"),
        ({"poll_s": 0.1}, "poll_s = 0.1"),
        ({"mode": "safe", "force_basic": True}, "force_basic"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        new_era.make(new_era.Options(**options))
