"""What `room.toml` may say of the pages and their server. See `model` for the rules of these classes."""

from __future__ import annotations

from pydantic import Field

from esi_room.config.table import LISTEN_IN_WORDS, Table
from esi_room.config.values import ExistingFile, FileToBe, Listen


class DisplayBroker(Table):
    """Who the pages are to a broker that the room does not start itself."""

    logins_file: ExistingFile | None = Field(
        default=None,
        description="a file of lines ROLE USER PASSWORD, mode 0600, with the broker's users for display, console, "
        "engineer and auditor; relative to this file",
    )
    cert_file: ExistingFile | None = Field(
        default=None, description="a certificate (PEM) of the server's own, with key_file; never the room's"
    )
    key_file: ExistingFile | None = Field(default=None, description="the private key of cert_file (PEM, not encrypted)")


class Display(Table):
    """The pages: who reaches them, and who may see what."""

    listen: Listen = Field(default=Listen("127.0.0.1:8080"), description=LISTEN_IN_WORDS.format(port=8080))
    cert_file: ExistingFile | None = Field(
        default=None, description="the server's certificate (PEM) and those between it and the authority, with key_file"
    )
    key_file: ExistingFile | None = Field(default=None, description="the private key of cert_file (PEM, not encrypted)")
    ca_file: ExistingFile | None = Field(
        default=None, description="certificates (PEM) of whoever signed the clients'; they may then log in with them"
    )
    users_file: FileToBe | None = Field(
        default=None, description="the file of users that `esi-room display passwd` writes; relative to this file"
    )
    session_h: float = Field(default=12.0, gt=0, le=24, description="hours until a login ends; above 0, at most 24")
    idle_min: float = Field(
        default=60.0, ge=1, description="minutes without a request or a command until a login ends; at least 1"
    )
    broker: DisplayBroker = Field(default=DisplayBroker(), description="the table [display.broker]")
