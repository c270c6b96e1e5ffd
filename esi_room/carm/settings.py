"""What the C-arm side can be told. Every limit has its unit, its reason and a default that real C-arms never meet."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

MIB = 1 << 20

# Announced to the peer. Not 0 ("unlimited"): some senders take that for leave to send a whole run as one PDU,
# which has to be held in memory. dcmtk and Orthanc never send more than 128 KiB.
ADVERTISED_PDU_BYTES = MIB
# Taken all the same from a peer that miscounts the limit; anything longer is no PDU.
MAX_PDU_BYTES = 4 * MIB
# An A-ASSOCIATE-RQ with 128 presentation contexts of 60 transfer syntaxes each is 260 KiB.
MAX_REQUEST_BYTES = MIB // 2
# At once, from all peers. Above it, the connection that has waited longest for its association request makes room
# for the next: a flood from one network on the list must not shut out the C-arm.
MAX_CONNECTIONS = 128
# Those that make room may take a moment. Each takes two threads and three descriptors; select(2) sees none above 1023.
MAX_SOCKETS = 2 * MAX_CONNECTIONS


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds on what one peer, or all of them, may cost."""

    associations: int = 16
    """At once, from all peers. A C-arm opens one, at most one a service."""
    connections_per_address: int = 8
    """At once, associated or not: one peer that leaks connections must not use up everybody's."""
    associations_per_peer: int = 8
    """At once, from one AE title at one address: a C-arm's five services, and what a restart of it left behind."""
    bytes_per_hour: int = 128 << 30
    """From one AE title at one address, in objects: 30 frames/s of 1 MiB the whole hour long are 106 GiB."""
    request_timeout_s: float = 10.0
    """From TCP connection to A-ASSOCIATE-RQ (a TLS handshake has as much again), and for the end of an association
    (PS3.8's ARTIM timer)."""
    pdu_timeout_s: float = 30.0
    """From the first byte of a PDU to its last: the slowest link that makes sense moves 1 MiB in this time."""
    idle_timeout_s: float = 300.0
    """Without a PDU. C-arms keep an association open between two runs."""
    association_timeout_s: float = 8 * 3600.0
    """From its start, whatever it does: a working day. Longer is a thread that never ends."""
    object_bytes: int = 8 << 30
    """Largest object. A 15 min run at 30 frames/s of 1024 x 1024 x 8 bit is 27 GB, but no C-arm sends it as one."""
    disk_reserve_bytes: int = 256 * MIB
    """Images stop here, vitals go on: the C-arm holds its own copy, nobody holds the heartbeats."""
    answer_timeout_s: float = 30.0
    """For the record to be durable. dcmtk gives up after 60 s, and then sends it again."""
    memory_bytes: int = 3 << 30
    """Address space of the listener's process (RLIMIT_AS). It uses 150 MiB, and up to 8 MiB an association."""
    grace_s: float = 5.0
    """For an object that is under way when the daemon ends."""


class PeerRule(Struct, frozen=True, kw_only=True):
    """Somebody who may connect: this AE title from this IP address, or from this network (`10.1.2.0/24`).

    `port`: where it listens, for storage commitment reports. `tls`: it is let in over TLS alone.
    """

    ae_title: str
    address: str
    port: int | None = None
    tls: bool = False


class Destination(Struct, frozen=True, kw_only=True):
    """Somebody whom the room calls. `id` names it in the record."""

    id: str
    ae_title: str
    host: str
    port: int
    tls: bool = False
    images: bool = True
    """Every object received is passed on."""
    mpps: bool = False
    """Every performed procedure step is passed on."""
    commitment: bool = False
    """It is asked to commit to what it was sent."""


class Hospital(Struct, frozen=True, kw_only=True):
    """The hospital's worklist, asked every `poll_s` for `days` from today on; None: for everything."""

    ae_title: str
    host: str
    port: int
    tls: bool = False
    poll_s: float = 60.0
    modality: str | None = None
    station_ae_title: str | None = None
    days: int = 1


class Tls(Struct, frozen=True, kw_only=True):
    """TLS with certificates on both sides. `listen`: where peers connect with it; None: for calling only.

    `profile`: `bcp195` (PS3.15 B.12) or `modified-bcp195` (B.13).
    """

    cert_file: str
    key_file: str
    ca_file: str
    listen: tuple[str, int] | None = None
    profile: Literal["bcp195", "modified-bcp195"] = "bcp195"


class CarmSettings(Struct, frozen=True, kw_only=True):
    """The listener. With no peers, nobody may connect; who tried is recorded."""

    ae_title: str = "ESI_ROOM"
    listen: tuple[str, int] | None = ("127.0.0.1", 11112)
    """Address and port; port 0 takes a free one. None: with TLS alone (`tls.listen`)."""
    peers: tuple[PeerRule, ...] = ()
    limits: Limits = field(default_factory=Limits)
    learn: bool = False
    """Hear out those who are not on the list, to record their AE titles; then refuse them."""
    private_classes: tuple[str, ...] = ()
    """SOP class UIDs of vendors' own, to be stored as well."""
    tls: Tls | None = None
    destinations: tuple[Destination, ...] = ()
    orders_folder: str | None = None
    """Where orders are dropped as files."""
    hospital: Hospital | None = None
