"""From what `room.toml` says, in people's units and words, to the settings that each side of the house takes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from esi_room.carm import CarmSettings, Limits, PeerRule
from esi_room.carm.settings import Destination, Hospital, Tls
from esi_room.config import Carm, RoomConfig
from esi_room.config.carm import CarmDestination, CarmHospital, CarmTls
from esi_room.outputs.client import BrokerSettings


def broker_settings(configuration: RoomConfig, environ: Mapping[str, str]) -> BrokerSettings:
    """How to reach the room's broker, the embedded one included. ConfigurationError if the password is missing."""
    mqtt = configuration.mqtt
    listen = mqtt.listen
    host = "127.0.0.1" if listen.host in {"0.0.0.0", "::"} else listen.host  # noqa: S104 - where to connect, not listen
    return BrokerSettings(
        url=f"mqtt://{host}:{listen.port}" if mqtt.embedded else str(mqtt.url),
        client_id=configuration.client_id,
        username=mqtt.username,
        password=mqtt.password(environ),
        ca_file=None if mqtt.ca_file is None else str(mqtt.ca_file),
        cert_file=None if mqtt.cert_file is None else str(mqtt.cert_file),
        key_file=None if mqtt.key_file is None else str(mqtt.key_file),
    )


def carm_settings(carm: Carm) -> CarmSettings:
    """The DICOM side."""
    bounds = {name: value for name, value in carm.limits.model_dump().items() if value is not None}
    folder = carm.worklist.folder
    return CarmSettings(
        ae_title=str(carm.ae_title),
        listen=(carm.listen.host, carm.listen.port),
        learn=carm.learn,
        private_classes=carm.private_sop_classes,
        peers=tuple(
            PeerRule(ae_title=str(peer.ae_title), address=str(peer.address), port=peer.port, tls=peer.tls)
            for peer in carm.peer
        ),
        limits=msgspec.structs.replace(Limits(), **bounds),
        tls=None if carm.tls is None else _tls(carm.tls),
        destinations=tuple(_destination(each) for each in carm.destination),
        orders_folder=None if folder is None else str(folder),
        hospital=None if carm.worklist.hospital is None else _hospital(carm.worklist.hospital),
    )


def _tls(tls: CarmTls) -> Tls:
    return Tls(
        cert_file=str(tls.cert_file),
        key_file=str(tls.key_file),
        ca_file=str(tls.ca_file),
        listen=None if tls.listen is None else (tls.listen.host, tls.listen.port),
        profile=tls.profile,
    )


def _destination(destination: CarmDestination) -> Destination:
    return Destination(
        id=destination.id,
        ae_title=str(destination.ae_title),
        host=destination.address.host,
        port=destination.address.port,
        tls=destination.tls,
        images=destination.images,
        mpps=destination.mpps,
        commitment=destination.commitment,
    )


def _hospital(hospital: CarmHospital) -> Hospital:
    return Hospital(
        ae_title=str(hospital.ae_title),
        host=hospital.address.host,
        port=hospital.address.port,
        tls=hospital.tls,
        poll_s=hospital.poll_s,
        modality=hospital.modality,
        station_ae_title=hospital.station_ae_title,
        days=hospital.days,
    )
