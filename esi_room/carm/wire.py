"""What the daemon and its helper processes say to each other: a length (4 bytes, big-endian), then JSON.

    daemon   -> listener   Configure once, an Offer whenever the worklist changes, an Answer for everything Asking,
                           at the end Stop
    listener -> daemon     Listening or Unable once, then Knocked, and what is Asking: Received, StepCreated …
    daemon   -> caller     Call once, then any Request; an Answer for what is Asking
    caller   -> daemon     a Reply to every Request; CommitmentReported, which is Asking
    daemon   -> previewer  Show
    previewer -> daemon    Shown

Either end of a pipe that reads its end of file ends itself: no helper outlives the daemon.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from esi_room.carm.settings import CarmSettings, Hospital
from esi_room.carm.shapes import Called, DoseReport, InstanceFailed, InstanceName, Patient, Step
from esi_room.clock import Stamp
from esi_room.commands import Order
from esi_room.events import CarmAssociation, CarmImage

# A preview is at most 512 KiB, a third more in base64; an image's entry with 10,000 frame times is 100 KiB.
MAX_MESSAGE_BYTES = 16 << 20
_LENGTH_BYTES = 4
_RECEIVE_BYTES = 64 << 10


class Message(Struct, frozen=True, kw_only=True, tag=True):
    """One message."""


class Configure(Message, frozen=True):
    """Be this listener; put what arrives into the directory `incoming`."""

    settings: CarmSettings
    incoming: str


class Answer(Message, frozen=True):
    """Of what was Asking, number `id`: the DIMSE status for the peer, and why.

    `error_id`: Error ID (0000,0903), where the service has one (PS3.4 F.7.2.2.4)."""

    id: int
    status: int
    comment: str = ""
    error_id: int | None = None


class Into(Message, frozen=True):
    """The open record: objects are linked into `frames`, which may not exist yet."""

    record: str
    frames: str


class Stop(Message, frozen=True):
    """Stop listening, finish what is under way, end."""


class Listening(Message, frozen=True):
    """Peers can connect here: `plain`, and `secure` with TLS."""

    plain: tuple[str, int] | None
    secure: tuple[str, int] | None = None


class Unable(Message, frozen=True):
    """Listening failed."""

    reason: str


class Asking(Message, frozen=True):
    """Something that a peer waits for: the daemon sends an Answer of the same `id`."""

    id: int


class Received(Asking, frozen=True):
    """A whole object lies in `incoming/<file>`; it is nobody's before the Answer.

    `linked`: the record into whose frames it has been linked, its octets fsynced; None: neither.

    `patient`: as the header has it, for comparison; it goes into no entry. `dose`: what a dose report says.
    """

    file: str
    image: CarmImage
    started: Stamp
    linked: str | None = None
    patient: Patient = Patient()
    dose: DoseReport | None = None


class StepCreated(Asking, frozen=True):
    """MPPS N-CREATE: a performed procedure step, and its data set: a Part 10 file, octet for octet as it came."""

    peer: str
    at: Stamp
    step: Step
    dataset: bytes


class StepChanged(Asking, frozen=True):
    """MPPS N-SET: what changed, and its data set, likewise."""

    peer: str
    at: Stamp
    step: Step
    dataset: bytes


class CommitmentAsked(Asking, frozen=True):
    """Storage commitment N-ACTION: a peer asks whether the room stands for these instances."""

    peer: str
    ae_title: str
    address: str
    at: Stamp
    transaction_uid: str
    instances: tuple[InstanceName, ...]


class CommitmentReported(Asking, frozen=True):
    """Storage commitment N-EVENT-REPORT on an association that a destination opened: its answer to our request."""

    peer: str
    ae_title: str
    at: Stamp
    transaction_uid: str
    committed: tuple[InstanceName, ...]
    failed: tuple[InstanceFailed, ...]


class Knocked(Message, frozen=True):
    """A peer was refused or lost."""

    association: CarmAssociation
    at: Stamp


class Offer(Message, frozen=True):
    """The whole worklist: what is answered to C-FIND from now on. `timezone`: of the orders' local times."""

    orders: tuple[Order, ...]
    timezone: str = "UTC"


class Call(Message, frozen=True):
    """Be this caller."""

    settings: CarmSettings


class Request(Message, frozen=True):
    """Something that the caller is to do: it sends a Reply of the same `id`. `to`: whom to call, None for nobody.

    What is for one peer is done in the order of asking; peers do not wait for each other.
    """

    id: int
    to: Called | None


class Send(Request, frozen=True):
    """C-STORE of the Part 10 file `path`, octet for octet, if it still has this digest."""

    path: str
    sha256: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class RelayStep(Request, frozen=True):
    """MPPS N-CREATE or N-SET with the data set of the Part 10 file `path`."""

    message: Literal["create", "set"]
    path: str
    sop_instance_uid: str


class RequestCommitment(Request, frozen=True):
    """Storage commitment N-ACTION: does the peer stand for these?"""

    transaction_uid: str
    instances: tuple[InstanceName, ...]


class ReportCommitment(Request, frozen=True):
    """Storage commitment N-EVENT-REPORT: what the room stands for, and what not."""

    transaction_uid: str
    committed: tuple[InstanceName, ...]
    failed: tuple[InstanceFailed, ...]


class ReadFolder(Request, frozen=True):
    """Read the orders in the folder `path`, unless it is still as it was when `seen` was replied."""

    path: str
    seen: str = ""


class AskWorklist(Request, frozen=True):
    """C-FIND of the hospital's worklist, for `first_day` (YYYYMMDD) and the days after it that it asks for."""

    hospital: Hospital
    first_day: str


class Reply(Message, frozen=True):
    """To the Request of this `id`."""

    id: int


class Done(Reply, frozen=True):
    """How it went. `done`: the peer has it. `refused`: it will not take this one. `unavailable`: nobody there, or not
    now. `broken`: the file is not what it was. `status`: the peer's, where it gave one."""

    outcome: Literal["done", "refused", "unavailable", "broken"]
    status: int | None = None
    comment: str = ""


class OrdersRead(Reply, frozen=True):
    """All orders of a folder or of the hospital's answer; None where the folder has not changed. `problems`: what was
    left out, by file name or number of the item, and why. `seen`: the folder's state."""

    orders: tuple[Order, ...] | None
    problems: dict[str, str] = {}
    seen: str = ""


class Show(Message, frozen=True):
    """Make a JPEG of the Part 10 file `path`: of frame number `frame` (from 1), or of the last one."""

    path: str
    frame: int | None = None


class Shown(Message, frozen=True):
    """The JPEG, or why there is none."""

    jpeg: bytes | None
    reason: str | None


ToListener = Configure | Into | Answer | Offer | Stop
FromListener = (
    Listening | Unable | Knocked | Received | StepCreated | StepChanged | CommitmentAsked | CommitmentReported
)

ToCaller = Call | Send | RelayStep | RequestCommitment | ReportCommitment | ReadFolder | AskWorklist | Answer
FromCaller = Done | OrdersRead | CommitmentReported


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Kept: msgspec takes ten times as long to look at the types as to read a message."""
    return msgspec.json.Decoder(kind)


def pack(message: Message) -> bytes:
    """`message` as it goes over a pipe."""
    octets = msgspec.json.encode(message)
    return len(octets).to_bytes(_LENGTH_BYTES, "big") + octets


async def read(reader: asyncio.StreamReader, kind: Any) -> Any:
    """The next message, one of `kind`. EOFError at the end, ValueError for what is no message."""
    try:
        size = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if size > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes")
        return _decoder(kind).decode(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError from error


class Pipe:
    """The helper's end, blocking. Any thread may send, one receives."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._sending = threading.Lock()
        self._came = bytearray()

    def send(self, message: Message) -> None:
        """OSError where the daemon is gone."""
        with self._sending:
            self._socket.sendall(pack(message))

    def receive(self, kind: Any) -> Any:
        """The next message, one of `kind`. EOFError at the end."""
        size = int.from_bytes(self._exactly(_LENGTH_BYTES), "big")
        return _decoder(kind).decode(self._exactly(size))

    def _exactly(self, size: int) -> bytes:
        """From what came already, as far as that goes: a short message is one call to the kernel."""
        while len(self._came) < size:
            try:
                piece = self._socket.recv(max(_RECEIVE_BYTES, size - len(self._came)))
            except ConnectionError as error:
                raise EOFError from error
            if not piece:
                raise EOFError
            self._came += piece
        octets, self._came = bytes(self._came[:size]), self._came[size:]
        return octets
