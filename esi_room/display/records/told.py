"""What the worker tells the server, a line of JSON each."""

from __future__ import annotations

from msgspec import Struct


class Verified(Struct, frozen=True):
    """Of a record: whether it holds, and the first thing that is wrong."""

    record: str
    ok: bool
    problem: str | None


class Made(Struct, frozen=True):
    """What belongs to a page: `css`; `broken`: why the record does not verify; `pictures`: by SHA-256, where the object
    is and how large it may be shown. `error`: there is no page, and why."""

    css: str = ""
    broken: str | None = None
    pictures: dict[str, tuple[str, int]] = {}
    error: str | None = None
