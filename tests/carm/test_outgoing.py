"""Keeping the caller's process: started when needed, again when it died, and never waited for in vain."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from esi_room.carm.passing import outgoing
from esi_room.carm.passing.outgoing import Outgoing
from esi_room.carm.settings import CarmSettings
from esi_room.carm.shapes import Called, InstanceName
from esi_room.carm.wire import Answer, Asking, Done, RequestCommitment


@asynccontextmanager
async def running() -> AsyncIterator[Outgoing]:
    async def answer(question: Asking) -> Answer:
        return Answer(id=question.id, status=0)

    caller = Outgoing(CarmSettings(), answer)
    task = asyncio.create_task(caller.run())
    try:
        yield caller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def request(port: int) -> RequestCommitment:
    to = Called("PACS", "127.0.0.1", port)
    return RequestCommitment(id=0, to=to, transaction_uid="1.2.3", instances=(InstanceName("1.2", "1.2.3"),))


async def test_nothing_is_started_before_something_is_asked(free_port):
    async with running() as caller:
        await asyncio.sleep(0.1)
        assert caller.pid is None
        reply = await caller.ask(request(free_port()))
        assert isinstance(reply, Done) and reply.outcome == "unavailable"
        assert caller.pid is not None


async def test_what_a_killed_caller_was_doing_is_done_by_its_successor(free_port):
    async with running() as caller:
        await caller.ask(request(free_port()))
        first = caller.pid
        os.kill(first, signal.SIGSTOP)  # what is asked now is under way when it dies
        asking = asyncio.create_task(caller.ask(request(free_port())))
        await asyncio.sleep(0.1)
        os.kill(first, signal.SIGKILL)
        reply = await asyncio.wait_for(asking, 15)
        assert isinstance(reply, Done) and reply.comment == "Connection refused"
        assert caller.pid != first


@pytest.mark.parametrize("module", ["esi_room.no_such_module", "esi_room.carm.shapes"])
async def test_a_caller_that_always_dies_keeps_nobody_waiting(monkeypatch, free_port, module):
    monkeypatch.setattr(outgoing, "MODULE", module)
    monkeypatch.setattr(outgoing, "LAST_PATIENCE_S", 0.2)
    async with running() as caller:
        reply = await asyncio.wait_for(caller.ask(request(free_port())), 15)
        assert isinstance(reply, Done) and reply.outcome == "unavailable" and "died" in reply.comment


async def test_it_ends_with_the_task(free_port):
    async with running() as caller:
        await caller.ask(request(free_port()))
        pid = caller.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
