"""What is no mistake and yet worth a word: what this configuration opens, and what is not there just now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path as FilePath

from esi_room.config.display import Display
from esi_room.config.model import Device, RoomConfig
from esi_room.config.rules import Mistake
from esi_room.config.values import TLS_SCHEMES, Listen, split_url

# /dev/ttyUSB0 is whichever adapter was plugged in first.
_UNSTABLE = re.compile(r"/dev/tty(USB|ACM)\d+")
_OTHERS_MAY_READ = 0o077
_EVERYBODY = ("0.0.0.0/0", "::/0")


def notes(config: RoomConfig) -> Iterator[Mistake]:
    """Remarks on a configuration that is right."""
    yield from _mqtt(config)
    yield from _carm(config)
    yield from _retention(config)
    for index, device in enumerate(config.device):
        yield from (Mistake(("device", index, key), text) for key, text in _device(device))
    if config.display is not None:
        yield from _display(config.display)


def _mqtt(config: RoomConfig) -> Iterator[Mistake]:
    mqtt = config.mqtt
    if mqtt.embedded:
        for key in ("listen", "websocket_listen"):
            address: Listen | None = getattr(mqtt, key)
            if address is not None and not address.loopback:
                text = "the broker opens to the network; its password and all it says travel unencrypted"
                yield Mistake(("mqtt", key), text)
    elif (url := split_url(mqtt.url)) and url.scheme not in TLS_SCHEMES and not _is_here(url.hostname):
        yield Mistake(("mqtt", "url"), "what goes to this broker travels unencrypted; mqtts:// or wss:// would not")
    if mqtt.password_env is not None and mqtt.password_env not in os.environ:
        yield Mistake(("mqtt", "password_env"), f"{mqtt.password_env} is not in the environment of this check")
    for key in ("password_file", "key_file"):
        path: FilePath | None = getattr(mqtt, key)
        if path is not None and path.stat().st_mode & _OTHERS_MAY_READ:
            yield Mistake(("mqtt", key), f"others may read {path}: chmod 600 it")


def _is_here(host: str | None) -> bool:
    return host in {"localhost", "::1"} or (host or "").startswith("127.")


def _carm(config: RoomConfig) -> Iterator[Mistake]:
    carm = config.carm
    if carm is None:
        return
    if not carm.peer:
        yield Mistake(("carm",), "no [[carm.peer]]: every C-arm that connects will be refused, and recorded")
    if not carm.listen.loopback:
        yield Mistake(("carm", "listen"), "DICOM opens to the network, to the peers named in [[carm.peer]] alone")
    if carm.learn:
        yield Mistake(("carm", "learn"), "for setting up: whoever connects is heard out before being refused")
    if carm.tls is not None and carm.tls.key_file.stat().st_mode & _OTHERS_MAY_READ:
        yield Mistake(("carm", "tls", "key_file"), f"others may read {carm.tls.key_file}: chmod 600 it")
    folder = carm.worklist.folder
    if folder is not None and not folder.is_dir():
        yield Mistake(("carm", "worklist", "folder"), f"{folder} is not there now; no order will come from it")
    titles = {peer.ae_title for peer in carm.peer}
    for index, destination in enumerate(carm.destination):
        path = ("carm", "destination", index)
        if destination.commitment and not destination.images:
            yield Mistake((*path, "commitment"), "it is sent no images, so there is nothing to commit to")
        elif destination.commitment and destination.ae_title not in titles:
            text = "most archives answer on a connection of their own: make this one a [[carm.peer]] as well"
            yield Mistake((*path, "commitment"), text)
        if not (destination.images or destination.mpps):
            yield Mistake(path, "it is sent neither images nor mpps")
    for index, peer in enumerate(carm.peer):
        if peer.address in _EVERYBODY:
            yield Mistake(("carm", "peer", index, "address"), "every address: only the AE title guards the door")


def _display(display: Display) -> Iterator[Mistake]:
    if not display.listen.loopback:
        yield Mistake(("display", "listen"), "the pages open to the network, to the users in users_file alone")
    if display.users_file is not None and not display.users_file.is_file():
        text = f"{display.users_file} is not there now: `esi-room display passwd --role console NAME` makes it"
        yield Mistake(("display", "users_file"), text)
    for path, file in (
        (("display", "key_file"), display.key_file),
        (("display", "users_file"), display.users_file),
        (("display", "broker", "key_file"), display.broker.key_file),
        (("display", "broker", "logins_file"), display.broker.logins_file),
    ):
        if file is not None and file.is_file() and file.stat().st_mode & _OTHERS_MAY_READ:
            yield Mistake(path, f"others may read {file}: chmod 600 it")


def _retention(config: RoomConfig) -> Iterator[Mistake]:
    said = config.retention
    limits = (said.keep_days, said.keep_images_days, said.max_bytes)
    if limits == (None, None, None):
        if said.only_archived:
            text = "nothing is ever removed: there is neither keep_days, keep_images_days nor max_bytes"
            yield Mistake(("retention", "only_archived"), text)
        return
    how = f"esi-room records {config.room.data} --retention --config {config.path}"
    yield Mistake(("retention",), f"records are removed by it; what would go now: {how}")
    destinations = {each.id: each for each in config.carm.destination} if config.carm is not None else {}
    if destinations and not said.only_archived:
        yield Mistake(("retention",), "no only_archived: images go whether an archive has them or not")
    for index, name in enumerate(said.only_archived):
        if not destinations[name].commitment:
            text = f"{name} is not asked to commit to what it was sent: that it took it is all that is known"
            yield Mistake(("retention", "only_archived", index), text)


def _device(device: Device) -> Iterator[tuple[str, str]]:
    info = device.make().info
    if device.listen_only and info.tick_s is not None:
        yield "listen_only", f"{info.name} speaks when asked, and this room will not ask"
    if not device.port.startswith("/"):
        if device.port.startswith("socket://") and device.line:
            yield "line", "line settings do not reach a socket:// port: set them at the converter"
        return
    path = FilePath(device.port)
    if _UNSTABLE.fullmatch(device.port):
        yield "port", f"{path} may be another adapter after a replug; /dev/serial/by-id/… stays"
    if not path.exists():
        yield "port", f"{path} is not there now; the room waits for it"
    elif not os.access(path, os.R_OK | os.W_OK):
        yield "port", f"this user may not open {path}; on Debian the group dialout may"
