"""The kinds of value a room's configuration holds, and what makes one wrong.

Each checker takes a value of the right TOML type and returns it, or raises ValueError with what is wrong with it;
what would be allowed is said by the field that uses it.
"""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from esi_room.links import check_port

EMBEDDED = "embedded"
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
TLS_SCHEMES = ("mqtts", "wss")

# DICOM PS3.5 table 6.2-1: an AE title has at most 16 characters.
AE_TITLE_MAX_CHARACTERS = 16
# PS3.5 section 9.1.
UID_MAX_CHARACTERS = 64


class Listen(str):
    """Address and port to listen on: `127.0.0.1:1883`, `[::1]:1883`, `0.0.0.0:1883`, `localhost:1883`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        match = re.fullmatch(r"(?:\[([^\]]*)\]|([^:\[\]]*)):([0-9]{1,5})", text)
        if match is None or not 1 <= int(match[3]) <= 65535:
            raise ValueError("is no ADDRESS:PORT")
        if match[2] != "localhost":
            ipaddress.IPv6Address(match[1]) if match[1] is not None else ipaddress.IPv4Address(match[2])
        return super().__new__(cls, text)

    @property
    def host(self) -> str:
        """The address without brackets; `localhost` is 127.0.0.1 here, so that it means one thing everywhere."""
        host = self.rpartition(":")[0].strip("[]")
        return "127.0.0.1" if host == "localhost" else host

    @property
    def port(self) -> int:
        """1 to 65535."""
        return int(self.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))


class HostPort(str):
    """Where to call: `pacs.example.org:104`, `10.1.2.9:104`, `[fd00::9]:104`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        match = re.fullmatch(r"(?:\[([^\]]*)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
        if match is None or not 1 <= int(match[3]) <= 65535:
            raise ValueError("is no HOST:PORT")
        if match[1] is not None:
            ipaddress.IPv6Address(match[1])
        return super().__new__(cls, text)

    @property
    def host(self) -> str:
        """Name or address, without brackets."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """1 to 65535."""
        return int(self.rpartition(":")[2])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))


def _below_the_file(value: Path, info: ValidationInfo) -> Path:
    """An absolute path: relative ones begin where the configuration file lies."""
    return _base(info) / value.expanduser()


def _base(info: ValidationInfo) -> Path:
    base: Path = (info.context or {}).get("base", Path())
    return base.absolute()


def _directory(value: Path, info: ValidationInfo) -> Path:
    path = _below_the_file(value, info)
    if path.exists() and not path.is_dir():
        raise ValueError("names a file")
    return path


def _existing_file(value: Path, info: ValidationInfo) -> Path:
    path = _below_the_file(value, info)
    if not path.is_file():
        raise ValueError(f"names no file that is there; relative paths begin at {_base(info)}")
    return path


def _file_to_be(value: Path, info: ValidationInfo) -> Path:
    path = _below_the_file(value, info)
    if path.is_dir():
        raise ValueError("names a directory")
    return path


def _time_zone(value: str) -> str:
    known = zoneinfo.available_timezones()
    if not known:
        raise ValueError("cannot be looked up: this machine lacks the time zone database (Debian package tzdata)")
    if value not in known:
        raise ValueError(f"is unknown{did_you_mean(value, known)}")
    return value


def _ae_title(value: str) -> str:
    if not 1 <= len(value) <= AE_TITLE_MAX_CHARACTERS:
        raise ValueError(f"has {len(value)} characters")
    if value != value.strip():
        raise ValueError("begins or ends with a space, which DICOM does not tell from none")
    if not all(" " <= char <= "~" and char != "\\" for char in value):
        raise ValueError("holds a character that DICOM forbids here")
    return value


def _sop_class(value: str) -> str:
    if re.fullmatch(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+", value) is None or len(value) > UID_MAX_CHARACTERS:
        raise ValueError("is no UID")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as problem:
        if "host bits" not in str(problem):
            raise ValueError("is no IP address") from None
        meant = ipaddress.ip_network(value, strict=False)
        raise ValueError(f"names a host and a network at once; write {meant} for the network") from None
    return value


def _broker(value: str) -> str:
    if value == EMBEDDED:
        return value
    url = split_url(value)
    if url is None:
        raise ValueError("is no URL")
    if url.scheme not in DEFAULT_PORTS:
        raise ValueError(f"has an unknown scheme{did_you_mean(url.scheme, DEFAULT_PORTS)}")
    if url.username is not None or url.password is not None:
        raise ValueError("holds a user name; username and password_file are the place for that")
    if (
        not url.hostname
        or url.port == 0
        or url.query
        or url.fragment
        or (url.path.strip("/") and url.scheme in {"mqtt", "mqtts"})
    ):
        raise ValueError("must be a host and at most a port")
    return value


def _origin(value: str) -> str:
    url = split_url(value)
    if url is None or url.scheme not in {"http", "https"} or not url.netloc or value != f"{url.scheme}://{url.netloc}":
        raise ValueError("is no http://HOST[:PORT] or https://HOST[:PORT]")
    return value


def _port(value: str) -> str:
    if check_port(value) is not None:
        raise ValueError("is no port that can be opened")
    return value


def split_url(value: str) -> SplitResult | None:
    """The parts of `value`; None where it is no URL (a port that is no number, a bracket left open)."""
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        return None
    return url if url.scheme and "://" in value else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "ge_dri"?)`, or nothing where nothing is near."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1)
    return f" (did you mean {quoted(by_lower[near[0]])}?)" if near else ""


def quoted(text: str) -> str:
    """`text` as TOML would write it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


Directory = Annotated[Path, Field(strict=False), AfterValidator(_directory)]
ExistingFile = Annotated[Path, Field(strict=False), AfterValidator(_existing_file)]
FileToBe = Annotated[Path, Field(strict=False), AfterValidator(_file_to_be)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
AETitle = Annotated[str, AfterValidator(_ae_title)]
SopClassUid = Annotated[str, AfterValidator(_sop_class)]
Network = Annotated[str, AfterValidator(_network)]
BrokerUrl = Annotated[str, AfterValidator(_broker)]
Origin = Annotated[str, AfterValidator(_origin)]
DevicePort = Annotated[str, AfterValidator(_port)]
