"""Real peers that the tests talk to. Absent, a test says so and is skipped; with ESI_ROOM_REQUIRE_PEERS=1
(as `.ci/run` sets it) it fails and names the Debian package instead."""

from __future__ import annotations

import os
import shutil

import pytest

DEBIAN_PACKAGE = {
    "mosquitto": "mosquitto",
    "mosquitto_passwd": "mosquitto",
    "mosquitto_sub": "mosquitto-clients",
    "mosquitto_pub": "mosquitto-clients",
    "storescu": "dcmtk",
    "storescp": "dcmtk",
    "echoscu": "dcmtk",
    "findscu": "dcmtk",
    "dcmj2pnm": "dcmtk",
    "dcmdump": "dcmtk",
    "dcm2pnm": "dcmtk",
    "dcmcrle": "dcmtk",
    "dcmcjpeg": "dcmtk",
    "dcmcjpls": "dcmtk",
    "wlmscpfs": "dcmtk",
    "dump2dcm": "dcmtk",
    "dsrdump": "dcmtk",
    "Orthanc": "orthanc",
    "chromium": "chromium",
    "socat": "socat",
    "openssl": "openssl",
    "dciodvfy": "dicom3tools",
    "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils",
}


def need(program: str) -> str:
    """Path of a peer's program."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is not None:
        return path
    message = f"the peer {program} is not installed (Debian package {DEBIAN_PACKAGE[program]})"
    if os.environ.get("ESI_ROOM_REQUIRE_PEERS") == "1":
        pytest.fail(message)
    pytest.skip(message)
