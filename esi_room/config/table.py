"""What every table of `room.toml` has in common, and the words that several of them use."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from esi_room.config.values import AE_TITLE_MAX_CHARACTERS

# A topic level that people can still read in a list. Brokers take far longer ones.
ID_MAX_CHARACTERS = 32

ID_PATTERN = rf"^[A-Za-z0-9_-]{{1,{ID_MAX_CHARACTERS}}}$"
ID_IN_WORDS = f"1 to {ID_MAX_CHARACTERS} of A-Z a-z 0-9 _ - (it becomes a level of MQTT topics)"
LISTEN_IN_WORDS = "ADDRESS:PORT, such as 127.0.0.1:{port} for this machine alone or 0.0.0.0:{port} for the network"
AE_IN_WORDS = f"1 to {AE_TITLE_MAX_CHARACTERS} printable ASCII characters, no backslash, no space at either end"


class Table(BaseModel):
    """A TOML table: unknown keys are mistakes, and `1` is not `"1"`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
