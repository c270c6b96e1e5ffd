"""`esi-room check`: every mistake in a configuration, each with its line."""

from __future__ import annotations

import json
from pathlib import Path

import click

from esi_room.cli import CALLED_WRONG
from esi_room.config import Finding, Findings, examine
from esi_room.config.schema import schema
from esi_room.errors import ConfigurationError
from esi_room.procedure import rules

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
    """Name every mistake in the file CONFIG, and in the file of rules that it names, each with its line and with what
    is allowed.

    Notes are no mistakes: a port that is not there now, a listener that opens to the network.
    Exit status: 0 no mistake, 2 mistakes.
    """
    if as_schema:
        click.echo(schema(), nl=False)
        return
    if config is None:
        raise click.UsageError("Name a file: esi-room check room.toml", ctx)
    findings = examine(config)
    in_rules = _in_rules(findings)
    click.echo(_json(findings, in_rules) if as_json else _text(findings, in_rules))
    if findings.mistakes or in_rules:
        ctx.exit(CALLED_WRONG)


def _in_rules(findings: Findings) -> list[str]:
    """What is wrong with the file of rules that the configuration names."""
    if findings.config is None:
        return []
    try:
        rules.load(findings.config.procedure.rules)
    except ConfigurationError as error:
        return error.problems
    return []


def _text(findings: Findings, in_rules: list[str]) -> str:
    notes = [note._replace(text=f"note: {note.text}") for note in findings.notes]
    return "\n".join([*map(findings.spell, (*findings.mistakes, *notes)), *in_rules, _summary(findings, len(in_rules))])


def _summary(findings: Findings, in_rules: int) -> str:
    if findings.config is None or in_rules:
        count = len(findings.mistakes) + in_rules
        return f"{findings.path}: {count} mistake{'s' if count > 1 else ''}"
    devices = ", ".join(f"{device.id} ({device.driver})" for device in findings.config.device) or "no device"
    return f"{findings.path}: no mistake; room {findings.config.room.id} with {devices}"


def _json(findings: Findings, in_rules: list[str]) -> str:
    return json.dumps(
        {
            "file": str(findings.path),
            "ok": findings.config is not None and not in_rules,
            "sha256": None if findings.config is None else findings.config.sha256,
            "mistakes": _list(findings.mistakes),
            "rules": in_rules,
            "notes": _list(findings.notes),
        },
        indent=2,
        ensure_ascii=False,
    )


def _list(findings: tuple[Finding, ...]) -> list[dict[str, str | int | None]]:
    return [finding._asdict() for finding in findings]
