"""The exception tree, sorted by who has to do something about it.

    EsiRoomError
    ├── ConfigurationError    whoever wrote the file: says where, what is wrong, what is allowed
    ├── LinkError             whoever plugs cables: the port is absent, busy or was pulled
    ├── RecordError           whoever runs the machine: the record cannot be written (disk full, I/O error)
    │   └── RecordFull        ... and so much is waiting already that this entry was not taken
    ├── SigningError          whoever runs the machine: there is no key to sign with, and what to do about that
    ├── BrokenRecord          the auditor: the record does not verify; says which line and why
    ├── CommandRefused        whoever gave a command: why it cannot be carried out now, and what would do
    └── BrokerError           whoever runs the broker: refused, gone, or not to be found

Bad bytes from a device are no exception: they are data, counted and recorded (`device.rejected`).
"""


class EsiRoomError(Exception):
    """Anything this package raises on purpose. `str()` of it says what to do."""


class ConfigurationError(EsiRoomError):
    """The configuration is wrong. `problems` holds every mistake, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LinkError(EsiRoomError):
    """The line to a device is absent, busy or gone."""


class RecordError(EsiRoomError):
    """The record cannot be written now; nothing was acknowledged."""


class RecordFull(RecordError):
    """Too much waits for a disk that does not answer; this entry was refused, not queued."""


class SigningError(EsiRoomError):
    """The room's signing key is gone, cannot be read, or is not to be made here."""


class BrokenRecord(EsiRoomError):
    """A record that does not verify was asked for something that needs a whole one."""


class CommandRefused(EsiRoomError):
    """The command cannot be carried out now; the text says why and what would do."""


class BrokerError(EsiRoomError):
    """The MQTT broker refused us, is gone, or could not be started."""
