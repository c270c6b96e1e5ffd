"""`/records` and everything below it: the auditor's pages. The server lets in whom they are for, and nobody else."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"


def routes(data: Path) -> list[web.RouteDef]:
    """What is served below /records, of the records under `data`."""

    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "records.html")

    return [web.get("/records", page), web.get("/records/{record}", page)]
