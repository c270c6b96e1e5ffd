"""The listener's process: it dies, and nothing acknowledged is lost; the daemon dies, and it dies too."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from esi_room.carm import CarmService, CarmSettings
from esi_room.carm.child import Child
from esi_room.carm.wire import Configure, FromListener, Listening
from esi_room.clock import SystemClock


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_killed_listener_comes_back_and_nothing_acknowledged_is_lost(room, scu):
    assert await scu.store(room.port, scu.picture()) == [0]
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(scu.request())
    await scu.read_pdu(reader)
    writer.write(scu.pdv(3, scu.store_command("1.2.3.4")) + scu.pdv(0, bytes(5000)))
    async with asyncio.timeout(5):
        while not room.incoming():
            await asyncio.sleep(0.01)
    killed = room.service.listener_pid
    os.kill(killed, signal.SIGKILL)
    await room.entry("device.state", state="lost", reason="process ended")
    async with asyncio.timeout(15):
        while room.service.address is None or room.service.listener_pid == killed:
            await asyncio.sleep(0.02)
    writer.close()
    assert room.incoming() == []
    assert await scu.store(room.port, scu.picture()) == [0]
    assert len(room.entries("carm.image")) == len(room.frames()) == 2
    states = [entry["state"] for entry in room.entries("device.state")]
    assert states == ["connected", "lost", "connected"]


async def test_the_listener_ends_with_the_daemon():
    child = await Child.start("esi_room.carm.listener")
    child.send(Configure(settings=CarmSettings(listen=("127.0.0.1", 0)), incoming="/nonexistent"))
    assert isinstance(await child.read(FromListener), Listening)
    child._writer.close()  # what the kernel does for a daemon that was killed
    assert await child.ended(5) == 3
    await child.end()


async def test_ctrl_c_reaches_the_daemon_alone(room):
    os.kill(room.service.listener_pid, signal.SIGINT)
    await asyncio.sleep(0.2)
    assert alive(room.service.listener_pid)
    assert os.getsid(room.service.listener_pid) != os.getsid(0)


async def test_ending_in_order_finishes_the_object_under_way(open_room, scu):
    async with open_room() as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(scu.request())
        await scu.read_pdu(reader)
        octets = bytes(5000)
        writer.write(scu.pdv(3, scu.store_command("1.2.3.4")) + scu.pdv(0, octets))
        async with asyncio.timeout(5):
            while not room.incoming():
                await asyncio.sleep(0.01)
        port = room.port
        ending = asyncio.create_task(_end(room))
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        writer.write(scu.pdv(2, octets))
        kind, body = await scu.read_pdu(reader)
        assert kind == 4 and scu.status_of(body) == 0
        await ending
        writer.close()
        assert len(room.entries("carm.image")) == 1
        assert room.entries("device.state")[-1]["state"] == "lost"


async def _end(room) -> None:
    task = next(t for t in asyncio.all_tasks() if "CarmService.run" in repr(t))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_port_that_is_taken_is_one_entry_until_it_is_free(open_room, free_port):
    async with open_room() as room:
        second = CarmService(
            CarmSettings(listen=("127.0.0.1", room.port)), room.journal, SystemClock(), on_preview=lambda _: None
        )
        running = asyncio.create_task(second.run())
        entry = await room.entry("device.state", state="lost", reason="cannot listen")
        assert str(room.port) in entry["reason"]
        await asyncio.sleep(1.0)
        assert len([s for s in room.entries("device.state") if s["state"] == "lost"]) == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_last_image_of_the_open_record_is_shown_again_after_a_restart(open_room, scu):
    async with open_room() as room:
        await scu.store(room.port, scu.picture(), last := scu.picture())
    async with open_room() as room:
        async with asyncio.timeout(10):
            while not room.previews:
                await asyncio.sleep(0.02)
        assert room.previews[0].sop_instance_uid == last.SOPInstanceUID
        assert room.previews[0].jpeg


def test_the_daemon_side_does_not_load_pynetdicom_or_numpy():
    """Starting the daemon, and its memory: those two belong to the helpers."""
    code = "import sys, esi_room.carm; print([m for m in ('pynetdicom', 'numpy', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_record_just_opened_says_that_the_listener_listens(room):
    room.journal.at_opening(room.service.say_again)
    await room.journal.switch("procedure", "a case begins")
    entry = await room.entry("device.state", state="connected")
    assert entry["port"] == f"127.0.0.1:{room.port}"
    said = [e for e in room.entries("device.state") if e["state"] == "connected"]
    assert len(said) == 2
