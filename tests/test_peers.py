"""An absent peer is named with the package that brings it, and `.ci/run` installs every such package."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_peer_that_a_test_needs_has_a_package_and_is_installed(peers):
    needed = {name for path in HERE.rglob("*.py") for name in re.findall(r'need\("(\w+)"\)', path.read_text("utf-8"))}
    assert needed <= set(peers.DEBIAN_PACKAGE)
    installed = re.search(r"^PACKAGES=\((.*)\)$", (HERE.parent / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    assert installed is not None
    assert {peers.DEBIAN_PACKAGE[name] for name in needed} <= set(installed[1].split())
