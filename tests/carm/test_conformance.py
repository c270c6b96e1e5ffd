"""The conformance statement is what the code says, and what the listener does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pynetdicom import build_context

STATEMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
STALE = "docs/conformance.md is old: make docs"
# A presentation context has an odd id below 256 (PS3.8 table 9-18).
CONTEXTS_AT_ONCE = 128


def made() -> str:
    command = [sys.executable, "-W", "ignore", "-m", "esi_room.carm.conformance"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=STATEMENT.parents[1]).stdout


def test_it_is_fresh() -> None:
    assert STATEMENT.read_text() == made(), STALE


def section(title: str) -> str:
    """A section's text, up to the next heading."""
    text = STATEMENT.read_text()
    start = text.index(f"\n{title}\n") + 1
    end = re.search(r"^#", text[start + len(title) :], re.MULTILINE)
    return text[start : start + len(title) + end.start()] if end else text[start:]


def uids(title: str) -> list[str]:
    return re.findall(r"[`|] ?(1\.2\.840\.10008[0-9.]+)", section(title))


async def negotiated(room, scu, wanted):
    association = await scu.associate(room.port, wanted)
    assert association.is_established
    try:
        return {str(context.abstract_syntax) for context in association.accepted_contexts}
    finally:
        association.release()


async def test_every_storage_class_that_it_names_is_accepted(room, scu):
    classes = uids("### 8.1 Storage SOP classes")
    assert len(classes) > 150
    for first in range(0, len(classes), CONTEXTS_AT_ONCE):
        some = classes[first : first + CONTEXTS_AT_ONCE]
        assert await negotiated(room, scu, [build_context(uid) for uid in some]) == set(some)


async def test_every_transfer_syntax_that_it_names_is_accepted(room, scu):
    syntaxes = uids("### 8.2 Transfer syntaxes of storage")
    wanted = [build_context(uids("### 8.1 Storage SOP classes")[0], syntax) for syntax in syntaxes]
    association = await scu.associate(room.port, wanted)
    accepted = {str(context.transfer_syntax[0]) for context in association.accepted_contexts}
    association.release()
    assert accepted == set(syntaxes)


@pytest.mark.parametrize(
    "title", ["#### Modality worklist", "#### Modality performed procedure step", "#### Storage commitment"]
)
async def test_every_service_that_it_names_is_accepted_in_each_syntax(room, scu, title):
    sop_class, *syntaxes = uids(title)
    assert syntaxes
    for syntax in syntaxes:
        assert await negotiated(room, scu, [build_context(sop_class, syntax)]) == {sop_class}


async def test_a_service_that_it_does_not_name_is_not(room, scu):
    study_root_find = "1.2.840.10008.5.1.4.1.2.2.1"
    assert study_root_find not in STATEMENT.read_text()
    verification = "1.2.840.10008.1.1"
    accepted = await negotiated(room, scu, [build_context(study_root_find), build_context(verification)])
    assert accepted == {verification}
