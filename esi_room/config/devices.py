"""What is wrong with a `[[device]]`: its driver, its line settings, its driver's options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from esi_room.config.lines import Path
from esi_room.config.rules import Mistake, tables
from esi_room.config.values import did_you_mean
from esi_room.config.words import kind, shown, unknown_key
from esi_room.drivers import registry
from esi_room.errors import ConfigurationError
from esi_room.line import LineSettings

# What Linux's termios offers (asm-generic/termbits.h: B50 to B4000000).
BAUD_MIN, BAUD_MAX = 50, 4_000_000


def mistakes(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Every mistake in every device's `driver`, `line` and `options`."""
    for path, device in tables(raw, "device"):
        line = _table(device, "line")
        yield from _fields((*path, "line"), line, LineSettings)
        yield from _baud((*path, "line", "baud"), line.get("baud"))
        driver = device.get("driver")
        if not isinstance(driver, str):
            continue
        if driver not in registry.DRIVERS:
            known = ", ".join(registry.DRIVERS)
            text = (
                f"device.driver = {shown(driver)} is unknown{did_you_mean(driver, registry.DRIVERS)}; allowed: {known}"
            )
            yield Mistake((*path, "driver"), text)
            continue
        yield from _options((*path, "options"), _table(device, "options"), driver)


def _table(device: dict[str, Any], key: str) -> dict[str, Any]:
    found = device.get(key)
    return found if isinstance(found, dict) else {}


def _baud(path: Path, baud: Any) -> Iterator[Mistake]:
    if isinstance(baud, int) and not isinstance(baud, bool) and not BAUD_MIN <= baud <= BAUD_MAX:
        text = f"device.line.baud = {baud} is not allowed; allowed: {BAUD_MIN} to {BAUD_MAX}"
        yield Mistake(path, text)


def _options(path: Path, options: dict[str, Any], driver: str) -> Iterator[Mistake]:
    """Each option by itself; then, if all are right, all together, as the driver will take them."""
    module = registry.load(driver)
    found = list(_fields(path, options, module.Options, of=f" of {driver}"))
    yield from found
    if found:
        return
    try:
        module.make(msgspec.convert(options, module.Options))
    except (msgspec.ValidationError, ConfigurationError, ValueError) as problem:
        yield Mistake(path, f"device.options: {problem}")


def _fields(path: Path, values: dict[str, Any], struct: type[Struct], of: str = "") -> Iterator[Mistake]:
    """Each value against its field of `struct`: all mistakes, where converting the whole would name the first."""
    name = f"device.{path[-1]}"
    known = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for key, value in values.items():
        if key not in known:
            yield Mistake((*path, key), unknown_key(name + of, key, known))
            continue
        try:
            msgspec.convert(value, known[key])
        except msgspec.ValidationError as problem:
            inner = tuple(int(index) for index in re.findall(r"\[(\d+)\]", str(problem)))
            allowed = kind(known[key])
            yield Mistake((*path, key, *inner), f"{name}.{key} = {shown(value)} is not allowed; allowed: {allowed}")
