"""Deliveries of a New Era pump, as its driver tells them: a simulated pump with its real timing, read by the driver."""

from __future__ import annotations

from typing import Any

import pytest

from esi_room.clock import NS, Stamp, rfc3339
from esi_room.drivers import new_era
from esi_room.drivers.contract import Ask
from esi_room.events import Delivery, DeviceGap, DeviceState, Event, Payload
from esi_room.procedure.segments import Segments
from esi_room.station import Decoder
from simulators.pumps.new_era_commands import Panel
from simulators.pumps.new_era_wire import basic_frame
from simulators.pumps.syringe import Syringe

T0_NS = 1_700_000_000 * NS
POLL_S = 0.3
STALE_S = 6.0


class Bench:
    """The pump at 60 mL/h with a target of 3 mL, its driver on a line, and the deliveries that come out."""

    def __init__(self, *, target_ml: float = 3.0) -> None:
        self.now_s, self.seq, self.done, self.alarm = 0.0, 0, list[Delivery](), None
        self.syringe = Syringe(rate_ml_min=1.0, target_ml=target_ml)
        self.panel = Panel(self.syringe, lambda: self.now_s)
        self.decoder, self.segments = Decoder("pump-1", new_era.make(new_era.Options(poll_s=POLL_S))), Segments()
        self.listened_s: float | None = None
        self.plug_in()

    def plug_in(self) -> None:
        """The line is opened."""
        self._entries(self.decoder.opened(self._stamp()))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.panel.phase_started_s = -1.0
            self.panel.execute(key)

    def power_cut(self) -> None:
        self.syringe.power_cut(self.now_s)
        self.alarm = "R"

    def wait(self, for_s: float) -> None:
        """Time passes; the driver asks, the pump answers."""
        for _ in range(round(for_s / POLL_S)):
            self.now_s += POLL_S
            self.syringe.advance(self.now_s)
            if any(what == "stalled" for what, _ in self.syringe.happened):
                self.alarm = "S"
            self.syringe.happened.clear()
            self._exchange()

    def silence(self, for_s: float) -> None:
        """Time passes, and nothing comes over the line."""
        from_s = self.now_s
        self.now_s += STALE_S
        self._take(DeviceState(state="stale", reason="no bytes"))
        self.now_s += for_s - STALE_S
        self.syringe.advance(self.now_s)
        self._take(DeviceGap(from_=self.clock(from_s), to=self.clock(self.now_s), reason="silence"))
        self._take(DeviceState(state="connected", reason="good frames again"))

    def cable_out(self, for_s: float) -> None:
        """As above, and the driver knows nothing of before."""
        self.silence(for_s)
        self.plug_in()

    def deliveries(self) -> list[Delivery]:
        """All of them, when all is over."""
        return self.done + self.segments.close(T0_NS + round(self.now_s * NS))

    def only(self) -> Delivery:
        (delivery,) = self.deliveries()
        return delivery

    @staticmethod
    def clock(at_s: float) -> str:
        return rfc3339(T0_NS + round(at_s * NS))

    def _stamp(self) -> Stamp:
        return Stamp(T0_NS + round(self.now_s * NS), round(self.now_s * NS))

    def _exchange(self) -> None:
        asks = [output for output in self.decoder.tick(self._stamp()) if isinstance(output, Ask)]
        for ask in asks:
            self._entries(self.decoder.sent(ask.octets, self._stamp()))
            if self.alarm:
                text, self.alarm = f"00A?{self.alarm}", None
            else:
                data = self.panel.execute(ask.octets.decode().strip())
                text = f"00{self.syringe.state}{data}"
            self._entries(self.decoder.received(basic_frame(text), self._stamp()))

    def _entries(self, outputs: Any) -> None:
        for output in outputs:
            if isinstance(output, Event):
                self._take(output.data)

    def _take(self, payload: Payload) -> None:
        self.seq += 1
        self.done += self.segments.take(self.seq, self._stamp().wall_ns, "pump-1", payload)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.wait(6)
    return bench


def about(volume_ml: float) -> Any:
    """To what runs through in one reading of the counter."""
    return pytest.approx(volume_ml, abs=0.021)


def ipec(delivery: Delivery) -> list[str]:
    return [event.ipec for event in delivery.events]


def test_a_whole_delivery(bench: Bench) -> None:
    bench.press("RUN")
    bench.wait(190)
    delivery = bench.only()
    assert (delivery.ended_by, delivery.delivered_ml, delivery.programmed_ml) == ("completed", 3.0, 3.0)
    assert delivery.mean_rate_ml_h == pytest.approx(60, abs=0.5)
    assert (delivery.peak_rate_ml_h, delivery.remarks, delivery.interruptions) == (60.0, (), ())
    assert ipec(delivery) == ["DELIV_START", "DELIV_COMP"]


def test_one_after_the_other(bench: Bench) -> None:
    for _ in range(3):
        bench.press("RUN")
        bench.wait(183)
    assert [(d.number, d.ended_by, d.delivered_ml) for d in bench.deliveries()] == [
        (1, "completed", 3.0), (2, "completed", 3.0), (3, "completed", 3.0),
    ]  # fmt: skip


def test_paused_and_gone_on_with(bench: Bench) -> None:
    bench.press("RUN")
    bench.wait(60)
    bench.press("STP")
    bench.wait(30)
    bench.press("RUN")
    bench.wait(150)
    delivery = bench.only()
    assert (delivery.ended_by, delivery.delivered_ml) == ("completed", 3.0)
    assert [each.reason for each in delivery.interruptions] == ["paused"]
    assert delivery.mean_rate_ml_h == pytest.approx(60, abs=1)
    assert ipec(delivery) == ["DELIV_START", "DELIV_STOP", "DELIV_START", "DELIV_COMP"]


def test_paused_and_stopped(bench: Bench) -> None:
    bench.press("RUN")
    bench.wait(60)
    bench.press("STP")
    bench.wait(30)
    bench.press("STP")
    bench.wait(6)
    delivery = bench.only()
    assert (delivery.ended_by, delivery.delivered_ml, delivery.interruptions) == ("stopped", 1.0, ())
    assert delivery.ended_at == bench.clock(66.3)


@pytest.mark.parametrize("between_s", [0.3, 0.6, 6])
def test_purged_before_and_after(bench: Bench, between_s: float) -> None:
    bench.press("PUR")
    bench.wait(3)
    bench.press("STP")
    bench.wait(6)
    bench.press("RUN")
    bench.wait(60)
    bench.press("STP", "STP")
    bench.wait(between_s)
    bench.press("PUR")
    bench.wait(3)
    delivery = bench.only()
    assert (delivery.delivered_ml, delivery.ended_by) == (about(1.0), "stopped")


def test_withdrawn_then_infused(bench: Bench) -> None:
    bench.press("DIRWDR", "RUN")
    bench.wait(60)
    assert bench.segments.open == frozenset()
    bench.press("STP", "STP", "DIRINF", "RUN")
    bench.wait(60)
    bench.press("STP", "STP")
    bench.wait(3)
    assert bench.only().delivered_ml == about(1.0)


def test_the_counter_cleared_in_a_pause_and_another_program(bench: Bench) -> None:
    bench.press("RUN")
    bench.wait(60)
    bench.press("STP")
    bench.wait(6)
    bench.press("CLDINF", "VOL2.000")
    bench.wait(6)
    bench.press("RUN")
    bench.wait(60)
    first, second = bench.deliveries()
    assert (first.ended_by, first.delivered_ml, first.remarks) == ("stopped", 1.0, ("counter_reset",))
    assert "PUMP_VOL_COUNTERS_CLEARED" in ipec(first)
    assert (second.ended_by, second.programmed_ml, second.remarks) == ("procedure_ended", 2.0, ())
    assert second.delivered_ml == about(1.0)


def test_a_counter_that_runs_over(bench: Bench) -> None:
    """A small syringe counts in microlitres, and from 10 mL on from zero."""
    bench.press("DIA14.00", "VOL0")
    bench.syringe.infused_ml = 9.5
    bench.wait(6)
    bench.press("RUN")
    bench.wait(60)
    bench.press("STP", "STP")
    bench.wait(3)
    delivery = bench.only()
    assert (delivery.delivered_ml, delivery.remarks) == (about(1.0), ("counter_reset",))


def test_occluded_and_freed(bench: Bench) -> None:
    bench.press("RUN")
    bench.wait(30)
    bench.syringe.occlusion_ramp_s = 8.0
    bench.wait(20)
    bench.syringe.occlusion_ramp_s = None
    bench.press("RUN")
    bench.wait(150)
    delivery = bench.only()
    assert (delivery.ended_by, delivery.delivered_ml, delivery.remarks) == ("completed", 3.0, ("occlusion",))
    assert [each.reason for each in delivery.interruptions] == ["alarm"]
    assert ipec(delivery) == ["DELIV_START", "FLUID_LINE_OCCL", "DELIV_STOP", "DELIV_START", "DELIV_COMP"]


def test_a_power_cut_that_is_over_at_once(bench: Bench) -> None:
    bench.press("RUN")
    bench.wait(60)
    bench.power_cut()
    bench.wait(30)
    bench.press("RUN")
    bench.wait(60)
    first, second = bench.deliveries()
    assert (first.ended_by, first.delivered_ml, first.remarks) == ("pump_restarted", about(1.0), ("pump_restarted",))
    assert (second.delivered_ml, second.remarks) == (about(1.0), ())


@pytest.mark.parametrize("reopened", [False, True])
def test_a_power_cut_with_silence(bench: Bench, reopened: bool) -> None:
    bench.press("RUN")
    bench.wait(60)
    bench.power_cut()
    (bench.cable_out if reopened else bench.silence)(60)
    bench.wait(30)
    delivery = bench.only()
    assert (delivery.ended_by, delivery.ended_at) == ("pump_restarted", bench.clock(66))
    assert (delivery.delivered_ml, delivery.remarks) == (about(1.0), ("pump_restarted",))


@pytest.mark.parametrize("reopened", [False, True])
def test_the_cable_was_out_for_a_while(bench: Bench, reopened: bool) -> None:
    bench.press("RUN")
    bench.wait(60)
    (bench.cable_out if reopened else bench.silence)(60)
    bench.wait(90)
    delivery = bench.only()
    assert (delivery.ended_by, delivery.delivered_ml, delivery.remarks) == ("completed", 3.0, ())
    assert [(each.from_, each.to, each.reason) for each in delivery.interruptions] == [
        (bench.clock(66), bench.clock(126), "line_lost")
    ]
    assert delivery.mean_rate_ml_h == pytest.approx(60, abs=1)
    assert ipec(delivery) == ["DELIV_START", "COMM_STATUS_CHANGE", "COMM_STATUS_CHANGE", "DELIV_COMP"]


@pytest.mark.parametrize(("reopened", "by"), [(False, "completed"), (True, "line_lost")])
def test_it_ended_while_the_cable_was_out(bench: Bench, reopened: bool, by: str) -> None:
    bench.press("RUN")
    bench.wait(120)
    (bench.cable_out if reopened else bench.silence)(120)
    bench.wait(30)
    delivery = bench.only()
    assert (delivery.ended_by, delivery.delivered_ml, delivery.mean_rate_ml_h) == (by, 3.0, None)


def test_connected_late() -> None:
    bench = Bench()
    bench.press("RUN")
    bench.now_s = 60.0
    bench.plug_in()
    bench.wait(150)
    delivery = bench.only()
    assert (delivery.remarks, delivery.ended_by) == (("connected_late",), "completed")
    assert delivery.delivered_ml == about(2.0)
    assert ipec(delivery) == ["DELIV_COMP"]
