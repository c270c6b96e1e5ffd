"""`esi-room check`: every mistake in a configuration, each with its line."""

from __future__ import annotations

import json
from pathlib import Path

import click

from esi_room.cli import CALLED_WRONG
from esi_room.config import Finding, Findings, examine
from esi_room.config.schema import schema

EXAMPLE = """\b
Example:
  esi-room check config/room.toml
  config/room.toml:12: mqtt.url is missing; needed: mqtt://HOST:PORT, ...
"""


@click.command(epilog=EXAMPLE)
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of such a file, for editors.")
@click.pass_context
def command(ctx: click.Context, config: Path | None, as_json: bool, as_schema: bool) -> None:
    """Name every mistake in the file CONFIG, each with its line and with what is allowed.

    Notes are no mistakes: a port that is not there now, a listener that opens to the network.
    Exit status: 0 no mistake, 2 mistakes.
    """
    if as_schema:
        click.echo(schema(), nl=False)
        return
    if config is None:
        raise click.UsageError("Name a file: esi-room check room.toml", ctx)
    findings = examine(config)
    click.echo(_json(findings) if as_json else _text(findings))
    if findings.mistakes:
        ctx.exit(CALLED_WRONG)


def _text(findings: Findings) -> str:
    notes = [note._replace(text=f"note: {note.text}") for note in findings.notes]
    return "\n".join([*map(findings.spell, (*findings.mistakes, *notes)), _summary(findings)])


def _summary(findings: Findings) -> str:
    if findings.config is None:
        count = len(findings.mistakes)
        return f"{findings.path}: {count} mistake{'s' if count > 1 else ''}"
    devices = ", ".join(f"{device.id} ({device.driver})" for device in findings.config.device) or "no device"
    return f"{findings.path}: no mistake; room {findings.config.room.id} with {devices}"


def _json(findings: Findings) -> str:
    return json.dumps(
        {
            "file": str(findings.path),
            "ok": findings.config is not None,
            "sha256": None if findings.config is None else findings.config.sha256,
            "mistakes": _list(findings.mistakes),
            "notes": _list(findings.notes),
        },
        indent=2,
        ensure_ascii=False,
    )


def _list(findings: tuple[Finding, ...]) -> list[dict[str, str | int | None]]:
    return [finding._asdict() for finding in findings]
