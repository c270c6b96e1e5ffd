"""What `room.toml` may say of the DICOM side: a class a table. See `model` for the rules of these classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from esi_room.config.table import AE_IN_WORDS, ID_IN_WORDS, ID_PATTERN, LISTEN_IN_WORDS, Table
from esi_room.config.values import AETitle, Directory, ExistingFile, HostPort, Listen, Network, SopClassUid


class CarmPeer(Table):
    """A C-arm (or workstation) that may connect: both its AE title and its address must fit."""

    ae_title: AETitle = Field(description=f"its AE title as it stands in its DICOM settings: {AE_IN_WORDS}")
    address: Network = Field(description="its IP address, such as 10.1.2.3, or a network, such as 10.1.2.0/24")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="the port it listens on, for storage commitment reports; 1 to 65535"
    )
    tls: bool = Field(default=False, description="true: it is let in over TLS alone")


class CarmLimits(Table):
    """Bounds on what the DICOM peers may cost; the listener has its own where a key is absent."""

    associations: int | None = Field(default=None, ge=1, description="associations at once, from all peers; at least 1")
    connections_per_address: int | None = Field(
        default=None, ge=1, description="connections at once from one peer; at least 1"
    )
    associations_per_peer: int | None = Field(
        default=None, ge=1, description="associations at once from one AE title at one address; at least 1"
    )
    bytes_per_hour: int | None = Field(
        default=None, ge=1, description="bytes of objects an hour from one AE title at one address; at least 1"
    )
    idle_timeout_s: float | None = Field(
        default=None, gt=0, description="seconds an association may be silent; above 0"
    )
    association_timeout_s: float | None = Field(
        default=None, gt=0, description="seconds an association may last, whatever it does; above 0"
    )
    object_bytes: int | None = Field(default=None, ge=1, description="bytes of the largest object taken; at least 1")
    disk_reserve_bytes: int | None = Field(
        default=None, ge=0, description="bytes of free disk that images leave to the record; at least 0"
    )


class CarmTls(Table):
    """TLS for DICOM, with certificates on both sides (PS3.15 B.12, B.13)."""

    cert_file: ExistingFile = Field(description="this room's certificate (PEM) and those between it and the authority")
    key_file: ExistingFile = Field(description="the private key of cert_file (PEM, not encrypted)")
    ca_file: ExistingFile = Field(description="certificates (PEM) of whoever signed the peers'")
    listen: Listen | None = Field(
        default=None,
        description=f"{LISTEN_IN_WORDS.format(port=2762)}; none where absent (TLS for calling alone)",
    )
    profile: Literal["bcp195", "modified-bcp195"] = Field(
        default="bcp195", description='"bcp195" (PS3.15 B.12) or "modified-bcp195" (B.13: fewer cipher suites)'
    )


class CarmDestination(Table):
    """Somebody whom everything received is passed on to: a PACS, an archive, the hospital's MPPS."""

    id: str = Field(pattern=ID_PATTERN, description=ID_IN_WORDS)
    ae_title: AETitle = Field(description=f"its AE title: {AE_IN_WORDS}")
    address: HostPort = Field(description="HOST:PORT, such as pacs.example.org:104")
    tls: bool = Field(default=False, description="true: it is called with TLS, as [carm.tls] says")
    images: bool = Field(default=True, description="true: it is sent every object that the room receives")
    mpps: bool = Field(default=False, description="true: it is told every performed procedure step")
    commitment: bool = Field(default=False, description="true: it is asked to commit to what it was sent")


class CarmHospital(Table):
    """The hospital's own worklist, asked again and again."""

    ae_title: AETitle = Field(description=f"its AE title: {AE_IN_WORDS}")
    address: HostPort = Field(description="HOST:PORT, such as ris.example.org:104")
    tls: bool = Field(default=False, description="true: it is called with TLS, as [carm.tls] says")
    poll_s: float = Field(default=60.0, ge=5, description="seconds between two questions; at least 5")
    modality: str | None = Field(default=None, min_length=1, max_length=16, description='a modality, such as "XA"')
    station_ae_title: AETitle | None = Field(
        default=None, description=f"the AE title that orders are scheduled for: {AE_IN_WORDS}"
    )
    days: int = Field(default=1, ge=1, le=31, description="days from today on that are asked for; 1 to 31")


class CarmWorklist(Table):
    """Where the orders come from that the C-arm is offered."""

    folder: Directory | None = Field(
        default=None, description="a directory that orders are dropped into (.wl, .toml, .json); relative to this file"
    )
    hospital: CarmHospital | None = Field(default=None, description="the table [carm.worklist.hospital]")


class Carm(Table):
    """The DICOM side. Without this table the room takes no images."""

    ae_title: AETitle = Field(description=f"the AE title that the C-arm sends to: {AE_IN_WORDS}")
    listen: Listen = Field(default=Listen("127.0.0.1:11112"), description=LISTEN_IN_WORDS.format(port=11112))
    peer: tuple[CarmPeer, ...] = Field(default=(), strict=False, description="tables [[carm.peer]], one for each peer")
    learn: bool = Field(
        default=False, description="true: who is not on the list is heard out, recorded and refused; for setting up"
    )
    private_sop_classes: tuple[SopClassUid, ...] = Field(
        default=(), strict=False, description="a list of vendors' own storage SOP class UIDs to be taken as well"
    )
    destination: tuple[CarmDestination, ...] = Field(
        default=(), strict=False, description="tables [[carm.destination]], one for each"
    )
    worklist: CarmWorklist = Field(default=CarmWorklist(), description="the table [carm.worklist]")
    tls: CarmTls | None = Field(default=None, description="the table [carm.tls] with cert_file, key_file and ca_file")
    limits: CarmLimits = Field(default=CarmLimits(), description="the table [carm.limits]")
