"""Real peers: dcmtk sends, Orthanc forwards, and what arrives is what was sent, octet for octet."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

# What the wheel of pydicom ships (nothing is downloaded), with storescu's option for its transfer syntax.
DCMTK = {
    "CT_small.dcm": "-xe",
    "MR_small.dcm": "-xe",
    "MR_small_implicit.dcm": "-xi",
    "MR_small_bigendian.dcm": "-xb",
    "examples_jpeg2k.dcm": "-xv",
    "JPEG2000.dcm": "-xw",
    "693_J2KI.dcm": "-xw",
    "MR_small_jp2klossless.dcm": "-xv",
    "MR_small_jpeg_ls_lossless.dcm": "-xt",
    "MR_small_RLE.dcm": "-xr",
    "SC_rgb_jpeg_dcmtk.dcm": "-xy",
    "JPGExtended.dcm": "-xx",
    "image_dfl.dcm": "-xd",
    "rtdose.dcm": "-xi",
    "rtplan.dcm": "-xi",
    "test-SR.dcm": "-xe",
    "waveform_ecg.dcm": "-xe",
}


def local(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom does not ship {name}")
    return Path(str(path))


def data_set(path: Path) -> bytes:
    """The octets after the file meta information."""
    with path.open("rb") as file:
        file.seek(132)
        head = file.read(12)
        assert head[:6] == b"\2\0\0\0UL"
        file.seek(int.from_bytes(head[8:12], "little"), 1)
        return file.read()


@pytest.fixture
async def reference(peers, free_port, tmp_path) -> AsyncIterator[tuple[int, Callable[[], set[bytes]]]]:
    """dcmtk's storescp, writing bit for bit what it gets: its port, and the data sets it has.

    storescu and Orthanc encode a data set anew before they send it (they drop padding and group lengths), so the
    file they read is not what is on the wire; what another receiver gets is.
    """
    folder = tmp_path / "reference"
    folder.mkdir()

    async def start(port: int) -> asyncio.subprocess.Process:
        command = (peers.need("storescp"), "+xa", "+B", "-od", folder, str(port))
        return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)

    process = await start(port := free_port())
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.02)
                if process.returncode is not None:  # somebody else took that port meanwhile
                    process = await start(port := free_port())
        writer.close()
        yield port, lambda: {data_set(path) for path in folder.iterdir()}
    finally:
        process.terminate()
        await process.wait()


async def test_echoscu(room, run, peers):
    code, said = await run(peers.need("echoscu"), "-aet", "CARM", "-aec", "ESI_ROOM", "127.0.0.1", str(room.port))
    assert code == 0, said


@pytest.mark.parametrize("name", DCMTK)
async def test_storescu_sends_pydicoms_own_files_and_they_arrive_octet_for_octet(room, run, peers, reference, name):
    path = local(name)
    port, expected = reference
    for called, at in (("ESI_ROOM", room.port), ("REFERENCE", port)):
        command = (peers.need("storescu"), "-v", "-R", DCMTK[name], "-aec", called, "127.0.0.1", str(at), path)
        code, said = await run(*command)
        assert code == 0 and "(Success)" in said, said
    [frame] = room.frames()
    assert {data_set(frame)} == expected()
    kept, sent = dcmread(frame), dcmread(path, force=True)
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert kept.get("PixelData") == sent.get("PixelData")
    [entry] = room.entries("carm.image")
    assert "unreadable" not in entry


def _request(port: int, path: str, body: Any = None) -> Any:
    octets = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", octets), timeout=20) as reply:
        return json.loads(reply.read())


async def test_orthanc_forwards_a_study(room, peers, reference, free_port, tmp_path):
    port = free_port()
    configuration = {
        "Name": "test",
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "DicomAet": "ORTHANC",
        "DicomPort": free_port(),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
        "DicomModalities": {
            "room": ["ESI_ROOM", "127.0.0.1", room.port],
            "reference": ["REFERENCE", "127.0.0.1", reference[0]],
        },
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
    orthanc = await asyncio.create_subprocess_exec(
        peers.need("Orthanc"),
        tmp_path / "orthanc.json",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        files = [local(name) for name in ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm")]
        async with asyncio.timeout(30):
            while True:
                try:
                    await asyncio.to_thread(_request, port, "/system")
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        ids = [(await asyncio.to_thread(_request, port, "/instances", path.read_bytes()))["ID"] for path in files]
        for modality in ("room", "reference"):
            sent = await asyncio.to_thread(_request, port, f"/modalities/{modality}/store", ids)
            assert sent["FailedInstancesCount"] == 0
    finally:
        orthanc.terminate()
        await orthanc.wait()
    assert {data_set(frame) for frame in room.frames()} == reference[1]()
    assert {entry["peer"] for entry in room.entries("carm.image")} == {"ORTHANC @ 127.0.0.1"}
