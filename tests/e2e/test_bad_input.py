"""Bad input to the running daemon: each costs a recorded reject or a clear state, and the daemon goes on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from e2e_pdus import pdu, pdv, request, status_of, store_command
from e2e_rig import ROOT, call, images_are_kept, until
from e2e_wire import CArm, Line, _read_pdu, data_set, masimo_line, masimo_number

Make = Callable[..., Any]


# --- serial lines -----------------------------------------------------------------------------------------


def test_line_noise(make_room: Make, make_line: Make) -> None:
    rng, line = Random(7), make_line("oximeter-1")
    room = make_room(None, {"oximeter-1": ("masimo_ascii1", line.path)}).start()
    clean, stream, intact = [masimo_line(n) for n in range(300)], [], []
    for number, octets in enumerate(clean):
        match rng.randrange(6):
            case 0:
                stream += [rng.randbytes(rng.randint(1, 400)), b"\r\n" + octets]
                intact.append(number)
            case 1:
                stream.append(octets[: rng.randrange(1, len(octets) - 2)] + b"\r\n")
            case 2:
                at = rng.randrange(20, len(octets) - 2)
                stream.append(octets[:at] + bytes([octets[at] ^ 0x80]) + octets[at + 1 :])
            case _:
                stream.append(octets)
                intact.append(number)
    sent = line.play(stream, 0.002)
    until(lambda: len(room.numeric("oximeter-1")) >= len(intact), "the intact lines")
    until(lambda: len(sent) == len(stream), "the rest")
    line.quiet()
    assert room.stop() == 0
    numbers = [masimo_number(readings) for readings in room.numeric("oximeter-1")]
    assert numbers == intact, "a value that was not sent whole, or a whole one lost"
    rejects = [entry.data for entry in room.entries("device.rejected", "oximeter-1")]
    assert sum(sum(reject["counts"].values()) for reject in rejects) > 100
    intact_bytes = sum(len(clean[number]) for number in intact)
    assert sum(reject["bytes"] for reject in rejects) == sum(map(len, sent)) - intact_bytes, (
        "every byte is accounted for"
    )
    assert all(reject["bytes"] and reject["excerpt"] for reject in rejects)
    room.verify()


@contextmanager
def bench(kind: str, port: Path) -> Iterator[None]:
    """A simulated device of its own."""
    command = [sys.executable, "-m", "simulators", "device", kind, "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize(
    ("driver", "device", "line"),
    [
        pytest.param("masimo_ascii1", "masimo_ascii1", "line = { baud = 19200 }\n", id="wrong baud"),
        pytest.param("masimo_ascii1", "nellcor_ascii", "", id="another device"),
        pytest.param("nellcor_ascii", "masimo_ascii1", "", id="the other way round"),
        pytest.param("ge_dri", "masimo_ascii1", "line = { baud = 9600, parity = 'none' }\n", id="text for a frame"),
    ],
)
def test_what_cannot_be_understood(make_room: Make, tmp_path: Path, driver: str, device: str, line: str) -> None:
    port = tmp_path / "ports" / "x"
    with bench(device, port):
        room = make_room(None, {"monitor-1": (driver, port)}, extra=line).start()
        rejected = room.until_entry("device.rejected", "monitor-1")
        assert rejected.data["bytes"] > 0 and rejected.data["excerpt"]
        said = room.until_entry("device.state", "monitor-1", reason="bytes")
        assert said.data["state"] in ("negotiating", "stale")
        with CArm(room.dicom) as carm:
            until(lambda: carm.stored, "an image meanwhile")
        assert room.stop() == 0
    assert not room.entries("vitals.numeric", "monitor-1"), "a value of a device that was not understood"
    assert "connected" not in {entry.data["state"] for entry in room.entries("device.state", "monitor-1")}
    room.verify()


def test_unplugged_and_replugged(make_room: Make, make_line: Make, stack: ExitStack) -> None:
    line = make_line("oximeter-1")
    room = make_room(None, {"oximeter-1": ("masimo_ascii1", line.path)}).start()
    line.play((masimo_line(n) for n in range(1000)), 0.02)
    room.connected("oximeter-1")
    line.close()
    room.until_entry("device.state", "oximeter-1", state="lost")
    again = Line(line.path)
    stack.pop_all()
    stack.callback(room.clean_up)
    stack.callback(again.close)
    again.play((masimo_line(n) for n in range(1000, 2000)), 0.02)
    gap = room.until_entry("device.gap", "oximeter-1")
    assert gap.data["from"] < gap.data["to"]
    first = next(e for e in room.entries("vitals.numeric") if (e.record, e.seq) > (gap.record, gap.seq))
    assert masimo_number({r["name"]: r["value"] for r in first.data["readings"]}) >= 1000
    again.quiet()
    assert room.stop() == 0
    room.verify()


# --- DICOM ------------------------------------------------------------------------------------------------


def dial(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), 10)
    line.settimeout(30)
    return line


def closed(line: socket.socket) -> bool:
    """Whether the room closes, whatever it says before."""
    with line:
        try:
            while line.recv(4096):
                pass
        except ConnectionError:
            return True
        return True


def test_what_knocks_at_the_dicom_port(make_room: Make, stack: ExitStack) -> None:
    rng, room = Random(3), make_room(extra="\n[carm.limits]\nidle_timeout_s = 30\n").start()
    half_open = [stack.enter_context(dial(room.dicom)) for _ in range(3)]
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", rng.randbytes(2000), b"\x16\x03\x01" + rng.randbytes(400)):
        with dial(room.dicom) as line:
            line.sendall(garbage)
            with suppress(OSError):  # closed already
                line.shutdown(socket.SHUT_WR)
            assert closed(line)
    room.until_entry("carm.association", "carm", outcome="refused", reason="no association request")
    for lying in (pdu(1, b"\0" * 10, length=0xFFFFFFFF), pdu(1, b"\0" * 10, length=2), pdu(9, b"what")):
        with dial(room.dicom) as line:
            line.sendall(lying)
            assert closed(line)
    for calling, called in (("STRANGER", "ESI_ROOM"), ("CARM", "ELSEWHERE"), ("", ""), ("A" * 16, "\0" * 16)):
        with dial(room.dicom) as line:
            line.sendall(request(calling=calling, called=called))
            assert _read_pdu(line)[0] in (3, 7), (calling, called)
    refused = room.until_entry("carm.association", "carm", peer="STRANGER", outcome="refused")
    assert "AE title" in refused.data["reason"]
    with CArm(room.dicom) as carm:
        until(lambda: len(carm.stored) > 5, "images from a good peer")
    for line in half_open:
        line.close()
    assert room.stop() == 0
    images_are_kept(room, carm.stored)
    room.verify()


UIDS = {
    "../../../etc/passwd": 0x0117,
    "1.2.3/../../x": 0x0117,
    "1.2\n3": 0x0117,
    "": 0x0117,
    "$(reboot)": 0x0117,
    "1.2.840.99": 0,
    "0.0": 0,
}


def test_hostile_uids_and_unparsable_data_sets(make_room: Make) -> None:
    room = make_room().start()
    with dial(room.dicom) as line:
        line.sendall(request())
        assert _read_pdu(line)[0] == 2
        for uid, status in UIDS.items():
            line.sendall(pdv(3, store_command(uid)) + pdv(2, data_set(uid, b"\1\2" * 20)))
            kind, body = _read_pdu(line)
            assert kind == 4, (uid, kind, body)
            assert status_of(body) == status, uid
        for octets in (b"", b"\xff" * 300, data_set("1.2.3", b"\1\2" * 20)[:150], b"\x08\0\x16\0UI\xff\xff1.2"):
            line.sendall(pdv(3, store_command("1.2.3")) + pdv(2, octets))
            _read_pdu(line)  # whatever it is called, it is answered
        line.sendall(pdv(3, store_command("1.2.4")) + pdv(2, data_set("1.2.5", b"\1\2" * 20)))
        assert status_of(_read_pdu(line)[1]) == 0xA900
    with dial(room.dicom) as line:  # 81 characters: no C-STORE at all, by PS3.5
        line.sendall(request())
        assert _read_pdu(line)[0] == 2
        line.sendall(pdv(3, store_command("1." * 40 + "1")) + pdv(2, data_set("1.2.7", b"\1\2" * 20)))
        kind, body = _read_pdu(line)
        assert kind == 7 or status_of(body) == 0x0117
    with dial(room.dicom) as line:  # cut off in the middle of an object
        line.sendall(request())
        assert _read_pdu(line)[0] == 2
        line.sendall(pdv(3, store_command("1.2.6")) + pdv(0, b"\0" * 5000))
    room.until_entry("carm.association", "carm", outcome="aborted", reason="under way")
    with CArm(room.dicom) as carm:
        until(lambda: carm.stored, "the next image")
    assert {path.parent.parent.parent for path in room.frames().values()} == {room.data / "records"} or room.frames()
    assert not list((room.data / "incoming").iterdir())
    unreadable = [entry.data for entry in room.entries("carm.image") if entry.data.get("unreadable")]
    assert unreadable, "a data set that does not parse is kept, and says so"
    assert room.stop() == 0
    strange = [path for path in room.folder.rglob("*") if not path.name.replace("-", "").replace("_", "").isascii()]
    assert not strange and not (room.folder / "x").exists()
    room.verify()


# --- configuration ----------------------------------------------------------------------------------------


def test_typos_are_told_all_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "room.toml"
    path.write_text(
        '[room]\nid = "esi 1"\ntimezone = "Europe/Berlim"\ndata = "data"\n[mqtt]\nurl = "mqqt://x"\n'
        '[carm]\nae_title = "A_TITLE_THAT_IS_TOO_LONG"\nlissten = "127.0.0.1:1"\n'
        '[[device]]\nid = "a"\ndriver = "ge_dry"\nport = "/dev/x"\n'
    )
    done = call("run", "--config", path)
    assert done.returncode == 2
    told = {
        int(line.split(":")[1]) for line in done.stderr.splitlines() if line.startswith(str(path)) or ".toml:" in line
    }
    assert told >= {2, 3, 6, 8, 9, 12}, done.stderr
    assert "did you mean" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_second_daemon_is_refused(make_room: Make) -> None:
    room = make_room().start()
    done = call("run", "--config", room.configuration)
    assert done.returncode == 1 and "another esi-room" in done.stderr and "Traceback" not in done.stderr
    assert room.exit_code is None
    assert room.stop() == 0
    room.verify()


def test_ports_that_are_taken(make_room: Make, stack: ExitStack) -> None:
    room = make_room()
    taken = stack.enter_context(socket.create_server(("127.0.0.1", room.dicom)))
    room.launch()
    lost = room.until_entry("device.state", "carm", state="lost")
    assert "listen" in lost.data["reason"]
    taken.close()
    room.until_entry("device.state", "carm", state="connected")
    assert room.stop() == 0
    stack.enter_context(socket.create_server(("127.0.0.1", room.mqtt)))
    room.launch()
    until(lambda: room.exit_code is not None, "the daemon says that the broker's port is taken")
    assert room.exit_code == 1 and f"{room.mqtt}" in room.log.read_text().splitlines()[-1]
