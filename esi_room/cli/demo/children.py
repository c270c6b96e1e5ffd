"""The demo's processes: the daemon and the simulators, each as a person would start it, in sessions of their own so
that Ctrl-C reaches the demo first and everything ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from esi_room.outputs.broker import die_with

END_S = 15.0  # the daemon finishes what is under way; more is a hang
LAST_WORDS = 8


class Child:
    """One process, its output in a log file."""

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name, self.log, self._process = name, log, process

    @classmethod
    async def start(cls, name: str, module: str, *arguments: str, log: Path, talk: bool = False) -> Child:
        """`python -m module arguments`. It ends when we die, whatever kills us. `talk`: with pipes to and from it."""
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                stdin=asyncio.subprocess.PIPE if talk else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if talk else file,
                stderr=file,
                start_new_session=True,
                preexec_fn=die_with(os.getpid(), signal.SIGTERM),
            )
        return cls(name, log, process)

    async def line(self) -> bytes:
        """The next line of its output; empty at its end."""
        return await self._process.stdout.readline() if self._process.stdout else b""

    def say(self, text: str) -> None:
        """A line to its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{text}\n".encode())

    async def ended(self) -> int:
        """Its exit status, once it has ended."""
        return await self._process.wait()

    async def end(self) -> int:
        """Ask it to end, insist after END_S; its exit status."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), END_S)
            except TimeoutError:
                self._process.kill()
        return await self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_WORDS:]
        return "\n".join(f"  {line}" for line in lines)
