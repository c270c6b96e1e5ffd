"""`esi-room drivers`: what can be connected, how its line is set, what is on the wire, what is ever sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from inspect import cleandoc
from textwrap import fill, indent
from typing import Any

import click
import msgspec
from msgspec.structs import FieldInfo
from rich.console import Console
from rich.table import Table

from esi_room.config.words import kind
from esi_room.drivers import registry
from esi_room.drivers.contract import Info
from esi_room.line import LineSettings

# Where nobody's terminal sets the width (a pipe, a file).
PLAIN_WIDTH_CHARACTERS = 140
TEXT_WIDTH_CHARACTERS = 100


EXAMPLE = """\b
Example:
  esi-room drivers
  esi-room drivers ge_dri
"""


@click.command(epilog=EXAMPLE)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one driver, or a list of all.")
def command(name: str | None, as_json: bool) -> None:
    """List what can be connected; with NAME, say everything about one driver.

    That is: the device's settings and cable, the bytes on the wire, the options, and every byte string that this
    software may ever send to the device, and why.
    """
    if as_json:
        found = _facts(name) if name else [_facts(each) for each in registry.DRIVERS]
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif name:
        click.echo("\n".join(_page(_facts(name))))
    else:
        _print_table([registry.load(each).INFO for each in registry.DRIVERS])


def line_in_words(line: LineSettings) -> str:
    """`19200 8E1 RTS/CTS`."""
    words = [f"{line.baud} {line.data_bits}{line.parity[0].upper()}{line.stop_bits}"]
    words += ["RTS/CTS"] if line.rtscts else []
    words += ["XON/XOFF"] if line.xonxoff else []
    levels = (("RTS", line.rts), ("DTR", line.dtr))
    words += [f"{name} {'on' if level else 'off'}" for name, level in levels if level is not None]
    return " ".join(words)


def _print_table(infos: list[Info]) -> None:
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH_CHARACTERS, highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("driver", "what", "maker", "models", "line", "integrity", "silent at most", "sends"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "driver")
    for info in infos:
        sends = f"{len(info.sends)} queries" if info.sends else "nothing"
        line = line_in_words(info.line)
        silence = f"{info.max_silence_s:g} s"
        table.add_row(info.name, info.kind, info.maker, info.models, line, info.integrity, silence, sends)
    console.print(table)
    console.print("\nesi-room drivers NAME says the rest, and lists every byte string that is ever sent.")


def _facts(name: str) -> dict[str, Any]:
    """Everything about one driver. ConfigurationError if there is none of this name."""
    module = registry.load(name)
    info = module.INFO
    return {
        "name": info.name,
        "kind": info.kind,
        "maker": info.maker,
        "models": info.models,
        "document": info.document,
        "line": msgspec.to_builtins(info.line),
        "line_in_words": line_in_words(info.line),
        "integrity": info.integrity,
        "max_silence_s": info.max_silence_s,
        "max_frame_bytes": info.max_frame_bytes,
        "notes": info.notes,
        "options": [_option(field) for field in msgspec.structs.fields(module.Options)],
        "options_in_words": cleandoc(module.Options.__doc__ or ""),
        "sends": [
            {"hex": octets.hex(" ").upper(), "text": _text(octets), "why": why} for octets, why in info.sends.items()
        ],
        "wire": cleandoc(sys.modules[registry.DRIVERS[name]].__doc__ or ""),
    }


def _option(field: FieldInfo) -> dict[str, Any]:
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return {"name": field.encode_name, "default": msgspec.to_builtins(default), "allowed": kind(field.type)}


def _text(octets: bytes) -> str | None:
    """`VOL\\r` for octets that are text; None for those that are not."""
    text = octets.decode("ascii", "replace")
    return repr(text)[1:-1] if text.rstrip("\r\n").isprintable() else None


def _page(facts: dict[str, Any]) -> Iterator[str]:
    yield f"{facts['name']}: {facts['maker']} {facts['models']}"
    yield ""
    yield f"  kind         {facts['kind']}"
    yield f"  document     {facts['document']}"
    yield f"  line         {facts['line_in_words']}"
    yield f"  integrity    {facts['integrity']}"
    yield f"  stale after  {facts['max_silence_s']:g} s without a good frame"
    yield f"  frames       {facts['max_frame_bytes']} bytes at most"
    yield from _part("Before connecting it", fill(facts["notes"], TEXT_WIDTH_CHARACTERS))
    yield from _part("In room.toml", _stanza(facts))
    yield from _part("Every byte string it may send, with these options", _sends(facts["sends"]))
    yield from _part("On the wire", facts["wire"])


def _part(title: str, text: str) -> Iterator[str]:
    if text:
        yield ""
        yield title
        yield ""
        yield indent(text, "  ")


def _stanza(facts: dict[str, Any]) -> str:
    lines = ["[[device]]", f'id = "{facts["kind"]}-1"', f'driver = "{facts["name"]}"', 'port = "/dev/serial/by-id/..."']
    if facts["options"]:
        lines += ["", "[device.options]                # commented out: the defaults"]
        lines += [f"# {_assignment(option)}    # {option['allowed']}" for option in facts["options"]]
        lines += ["", facts["options_in_words"]]
    return "\n".join(lines)


def _assignment(option: dict[str, Any]) -> str:
    """TOML knows no null: an option that is absent by default is shown without a value."""
    return f"{option['name']} = {'' if option['default'] is None else json.dumps(option['default'])}"


def _sends(sends: list[dict[str, str | None]]) -> str:
    if not sends:
        return "None: it only listens."
    return "\n".join(f"{_hex(one)}\n    {one['why']}" for one in sends)


def _hex(one: dict[str, str | None]) -> str:
    said = "" if one["text"] is None else f'   "{one["text"]}"'
    return fill(str(one["hex"]), TEXT_WIDTH_CHARACTERS) + said
