"""Mistakes that no single key shows: what must fit together.

These look at what `tomllib` read, not at the checked tables, so that they are found together with all others;
a value of the wrong type is passed over here, because the tables name it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from esi_room.config.carm import Carm, CarmTls
from esi_room.config.display import Display
from esi_room.config.lines import Path
from esi_room.config.model import Mqtt
from esi_room.config.table import Table
from esi_room.config.values import DEFAULT_PORTS, EMBEDDED, TLS_SCHEMES, Listen, did_you_mean, split_url
from esi_room.config.words import shown

# Sources of entries that are no devices: a device of this name could not be told from them in the record.
RESERVED_IDS = ("room", "carm", "orders", "worklist")


class Mistake(NamedTuple):
    """Where, and what is wrong."""

    path: Path
    text: str


def mistakes(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Everything in `raw` that does not fit together, drivers and their options left aside."""
    mqtt = table(raw, "mqtt")
    yield from _broker(mqtt)
    yield from _login(mqtt)
    yield from _listeners(raw)
    yield from _display(raw)
    yield from _reserved(raw)
    yield from _twice(raw, ("device",), ("id",))
    yield from _twice(raw, ("device",), ("port",))
    yield from _twice(raw, ("carm", "peer"), ("ae_title", "address"))
    yield from _twice(raw, ("carm", "destination"), ("id",))
    yield from _destinations_are_no_devices(raw)
    yield from _tls(raw)
    yield from _retention(raw)


def table(raw: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table at `keys`; an empty one where there is none."""
    found: Any = raw
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def tables(raw: dict[str, Any], *keys: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each of the tables `[[keys]]`, with its path."""
    found = table(raw, *keys[:-1]).get(keys[-1])
    for index, one in enumerate(found if isinstance(found, list) else []):
        if isinstance(one, dict):
            yield (*keys, index), one


def _broker(mqtt: dict[str, Any]) -> Iterator[Mistake]:
    """Keys that this kind of broker has no use for."""
    url = mqtt.get("url")
    if not isinstance(url, str):
        return
    parts = split_url(url)
    known = url == EMBEDDED or (parts is not None and parts.scheme in DEFAULT_PORTS)
    for key in ("ca_file", "cert_file", "key_file"):
        if key in mqtt and known and (parts is None or parts.scheme not in TLS_SCHEMES):
            yield Mistake(("mqtt", key), f"mqtt.{key} is for TLS, which only mqtts:// and wss:// use")
    for key in ("listen", "websocket_listen", "websocket_origins"):
        if key in mqtt and url != EMBEDDED:
            yield Mistake(("mqtt", key), f'mqtt.{key} is for the embedded broker, url = "embedded"')


def _login(mqtt: dict[str, Any]) -> Iterator[Mistake]:
    passwords = [key for key in ("password_file", "password_env") if key in mqtt]
    if len(passwords) == 2:
        yield Mistake(("mqtt", "password_env"), "mqtt.password_env besides password_file; allowed: one of them")
    if passwords and "username" not in mqtt:
        yield Mistake(("mqtt", passwords[0]), f"mqtt.{passwords[0]} without username; both are needed")
    if "username" in mqtt and not passwords:
        yield Mistake(("mqtt", "username"), "mqtt.username without password_file or password_env")
    yield from _pair(("mqtt",), mqtt)
    if mqtt.get("url") == EMBEDDED and "username" not in mqtt:
        for key in ("listen", "websocket_listen"):
            address = _listen(mqtt.get(key))
            if address is not None and not address.loopback:
                yield Mistake(
                    ("mqtt", key),
                    f"mqtt.{key} = {shown(address)} opens the broker to the network without a password; "
                    "allowed: a loopback address, or username with password_file or password_env",
                )


def _pair(path: Path, table: dict[str, Any]) -> Iterator[Mistake]:
    """A certificate without its key, or the other way round."""
    for key, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if key in table and other not in table:
            yield Mistake((*path, key), f"{'.'.join(map(str, path))}.{key} without {other}; both are needed")


def _display(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Who reaches the pages must be known, and unheard by others; and the broker must know who is who."""
    display, broker = table(raw, "display"), table(raw, "display", "broker")
    embedded = table(raw, "mqtt").get("url") == EMBEDDED
    yield from _pair(("display",), display)
    yield from _pair(("display", "broker"), broker)
    address = _listen(display.get("listen"))
    lacking = [key for key in ("cert_file", "users_file") if key not in display]
    if address is not None and not address.loopback and lacking:
        text = f"display.listen = {shown(address)} opens the pages to the network without {' and '.join(lacking)}"
        yield Mistake(("display", "listen"), f"{text}; allowed: a loopback address, or TLS and users")
    for key in ("cert_file", "users_file"):
        if "ca_file" in display and key not in display:
            yield Mistake(("display", "ca_file"), f"display.ca_file without {key}; both are needed")
    if embedded:
        for key in broker:
            text = f"display.broker.{key} is for a broker of your own; for the embedded one the daemon sees to it"
            yield Mistake(("display", "broker", key), text)
    elif "users_file" in display and "logins_file" not in broker and "mqtt" in raw:
        text = "display.users_file without display.broker.logins_file: the broker would not know who is who"
        yield Mistake(("display", "users_file"), text)


def _listen(value: Any) -> Listen | None:
    try:
        return Listen(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _listeners(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Two listeners on one port, defaults included."""
    embedded = table(raw, "mqtt").get("url") == EMBEDDED
    places: tuple[tuple[Path, type[Table], bool], ...] = (
        (("carm", "listen"), Carm, "carm" in raw),
        (("carm", "tls", "listen"), CarmTls, "tls" in table(raw, "carm")),
        (("mqtt", "listen"), Mqtt, embedded),
        (("mqtt", "websocket_listen"), Mqtt, embedded),
        (("display", "listen"), Display, "display" in raw),
    )
    taken: dict[int, str] = {}
    for path, model, used in places:
        *section, key = (str(part) for part in path)
        address = _listen(table(raw, *section).get(key, model.model_fields[key].default))
        if address is None or not used:
            continue
        name = ".".join((*section, key))
        if address.port in taken:
            text = (
                f"{name} = {shown(address)}: {taken[address.port]} has port {address.port}; allowed: a port of its own"
            )
            yield Mistake(path, text)
        taken.setdefault(address.port, name)


def _reserved(raw: dict[str, Any]) -> Iterator[Mistake]:
    for keys in (("device",), ("carm", "destination")):
        for path, one in tables(raw, *keys):
            if one.get("id") in RESERVED_IDS:
                others = ", ".join(RESERVED_IDS)
                text = f"{'.'.join(keys)}.id = {shown(one['id'])} names a part of the room; allowed: any but {others}"
                yield Mistake((*path, "id"), text)


def _destinations_are_no_devices(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Both say `device.state` under their ids."""
    devices = {device.get("id") for _, device in tables(raw, "device")}
    for path, destination in tables(raw, "carm", "destination"):
        if isinstance(name := destination.get("id"), str) and name in devices:
            yield Mistake((*path, "id"), f"carm.destination.id = {shown(name)} is a [[device]]'s id already")


def _tls(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Whoever is to be met with TLS needs the room's certificate; a peer that comes with it, a listener."""
    tls = table(raw, "carm", "tls")
    wanting = [*tables(raw, "carm", "destination"), *tables(raw, "carm", "peer")]
    if hospital := table(raw, "carm", "worklist", "hospital"):
        wanting.append((("carm", "worklist", "hospital"), hospital))
    for path, one in wanting:
        name = ".".join(str(key) for key in path if isinstance(key, str))
        if one.get("tls") is not True:
            continue
        if not tls:
            yield Mistake((*path, "tls"), f"{name}.tls without [carm.tls], which says with which certificate")
        elif name == "carm.peer" and "listen" not in tls:
            yield Mistake((*path, "tls"), "carm.peer.tls without carm.tls.listen, the address that it would come to")


def _retention(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Archives that are there and are sent images; and no images kept longer than their record."""
    said = table(raw, "retention")
    days, images_days = said.get("keep_days"), said.get("keep_images_days")
    if isinstance(days, int) and isinstance(images_days, int) and images_days > days:
        text = f"retention.keep_images_days = {images_days} is more than keep_days; allowed: at most {days}"
        yield Mistake(("retention", "keep_images_days"), text)
    sent = {one.get("id"): one.get("images", True) for _, one in tables(raw, "carm", "destination")}
    archives = said.get("only_archived")
    for index, name in enumerate(archives if isinstance(archives, list) else []):
        path = ("retention", "only_archived", index)
        if not isinstance(name, str):
            continue
        if name not in sent:
            known = ", ".join(shown(each) for each in sent) or "none, there is no [[carm.destination]]"
            near = did_you_mean(name, (each for each in sent if isinstance(each, str)))
            text = f"retention.only_archived: {shown(name)} is no carm.destination.id{near}; allowed: {known}"
            yield Mistake(path, text)
        elif sent[name] is False:
            text = f"retention.only_archived: {shown(name)} is sent no images; allowed: one with images = true"
            yield Mistake(path, text)


def _twice(raw: dict[str, Any], keys: Path, what: tuple[str, ...]) -> Iterator[Mistake]:
    """Tables of one array that agree in all of `what`."""
    names = tuple(str(key) for key in keys)
    seen: set[tuple[str, ...]] = set()
    for path, one in tables(raw, *names):
        values = tuple(value for key in what if isinstance(value := one.get(key), str))
        if len(values) < len(what):
            continue
        if values in seen:
            said = " with ".join(f"{'.'.join(names)}.{key} = {shown(one[key])}" for key in what)
            yield Mistake((*path, what[0]), f"{said} stands in another [[{'.'.join(names)}]] already")
        seen.add(values)
