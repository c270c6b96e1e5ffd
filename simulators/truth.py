"""What really happened, written by the simulators, so that a record can be compared with it.

One JSON object a line: `wall_ns`, `mono_ns` (CLOCK_MONOTONIC, the same for every process of the machine), `t_s`
(scenario seconds), `device`, `what`, and what belongs to it. Flushed per line: whoever kills the simulators still
has everything up to then. `what` is `sent` or `received` for the wire, otherwise the event itself (`unplugged`,
`nibp_completed`, `stalled` …).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


class TruthLog:
    """An append-only list of what happened, also written to `path` if there is one."""

    def __init__(self, path: Path | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        self._file = path.open("a", encoding="utf-8") if path else None

    def note(self, device: str, what: str, *, t_s: float, **fields: Any) -> None:
        """Log that `what` happened to `device` now, at scenario second `t_s`."""
        stamps = {"wall_ns": time.time_ns(), "mono_ns": time.monotonic_ns(), "t_s": round(t_s, 3)}
        line = {**stamps, "device": device, "what": what, **fields}
        self.lines.append(line)
        if self._file:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()

    def of(self, device: str, what: str) -> list[dict[str, Any]]:
        """The lines that say `what` of `device`, in order."""
        return [line for line in self.lines if line["device"] == device and line["what"] == what]

    def close(self) -> None:
        """Close the file; the list stays."""
        if self._file:
            self._file.close()
            self._file = None
