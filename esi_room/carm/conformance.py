"""The DICOM conformance statement, in the form of PS3.2 annex A. `make docs` writes it:

    python -m esi_room.carm.conformance > docs/conformance.md

Rules of this file:
- What can be said by the code is said by the code: presentation contexts, limits, statuses, suites come from the
  modules that act on them. A status table is that of the module's own docstring.
- A test says when the committed copy is old, and negotiates what it promises.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from textwrap import dedent, fill
from types import ModuleType

from pydicom.datadict import dictionary_description, keyword_for_tag
from pydicom.uid import UID
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from esi_room import __version__
from esi_room.carm import tls
from esi_room.carm.caller import entity, query
from esi_room.carm.listener import commitment, contexts, matching, steps, storage, worklist
from esi_room.carm.listener.incoming import IMPLEMENTATION_CLASS_UID
from esi_room.carm.passing.transaction import PUSH_MODEL
from esi_room.carm.settings import ADVERTISED_PDU_BYTES, MAX_CONNECTIONS, Limits
from esi_room.carm.worklist import items
from esi_room.carm.worklist.keys import MODALITY_WORKLIST

_WIDTH = 120
_STATUS = re.compile(r"\b([0-9A-F]{4})  ?(\S.*?)(?=;? +[0-9A-F]{4} |$)")
_LITTLE = "explicit and implicit VR little endian"
_LIMITS = Limits()

Row = tuple[str, ...]


def statement() -> str:
    """The whole document, Markdown."""
    return "\n\n".join(block for section in _SECTIONS for block in section()) + "\n"


# --- sections: each gives blocks, which a blank line parts --------------------------------------------------


def _head() -> Iterator[str]:
    yield "# DICOM conformance statement of esi_room"
    yield _text(f"""Version {__version__}, in the form of DICOM PS3.2 annex A. Generated from the code (`make
        docs`). No medical device: it observes and commands nothing.""")


def _overview() -> Iterator[str]:
    yield "## 1 Overview"
    yield _text("""A room takes what a mobile C-arm sends, keeps it in a hash-chained record, and answers the
        C-arm's other services: worklist, performed procedure step, storage commitment. It passes objects on to
        archives.""")
    yield _table(
        ("SOP class", "User of service (SCU)", "Provider of service (SCP)"),
        [
            ("Verification", "no", "yes"),
            (f"Storage: {len(contexts.storage_classes())} classes, see 8.1", "yes, what was received", "yes"),
            ("Modality Worklist Information Model - FIND", "yes", "yes"),
            ("Modality Performed Procedure Step", "yes, what was received", "yes"),
            ("Storage Commitment Push Model", "yes", "yes"),
        ],
    )
    yield "No media interchange: section 5 of the form does not apply. Nothing is printed, and no archive is queried."


def _model() -> Iterator[str]:
    yield "## 4 Networking"
    yield "### 4.1 Implementation model"
    yield dedent("""\
        ```
        C-arm      -- C-ECHO, C-STORE, C-FIND, N-CREATE, N-SET, N-ACTION -->  [listener] --+
                   <-- N-EVENT-REPORT --------------------------------------  [caller]     |
                                                                                           +--  the record
        PACS, RIS  <-- C-STORE, C-FIND, N-CREATE, N-SET, N-ACTION ----------  [caller]     |
                   -- N-EVENT-REPORT -->  [listener], or on the caller's own association --+
        ```""")
    yield _text("""Two application entities, processes of their own, under one AE title (default `ESI_ROOM`). An
        answer of success means that what it answers is on the disk and in the record.""")


def _acceptor() -> Iterator[str]:
    yield "### 4.2.1 Listener"
    yield _text(f"""**Association policies.** PDUs of {ADVERTISED_PDU_BYTES >> 20} MiB are announced. One operation
        at a time (no asynchronous window). Application context 1.2.840.10008.3.1.1.1. At most
        {_LIMITS.associations} associations at once, {_LIMITS.associations_per_peer} of one peer,
        {_LIMITS.connections_per_address} connections from one address, {MAX_CONNECTIONS} in all;
        {_LIMITS.request_timeout_s:g} s to the A-ASSOCIATE-RQ, {_LIMITS.pdu_timeout_s:g} s for a PDU,
        {_LIMITS.idle_timeout_s:g} s without one, {_LIMITS.association_timeout_s / 3600:g} h in all;
        {_LIMITS.object_bytes >> 30} GiB an object. These can be configured. Role selection is accepted for storage
        commitment; other extended negotiation and user identity are ignored.""")
    yield _text("""**Who is let in.** Calling AE title, address and called AE title must all fit the configuration,
        which names nobody by default. Others are rejected (calling or called AE title not recognized) or closed
        unheard, and recorded. Of the transfer syntaxes in one presentation context the first of this list is
        accepted: what every viewer reads, then what loses nothing; then the rest in the order of 8.2.""")
    yield _list(contexts.PREFERRED)
    yield from (*_storage(), *_worklist(), *_steps(), *_commitment())


def _storage() -> Iterator[str]:
    yield "#### Storage and verification"
    yield _text("""Level 2 (full): the data set is stored octet for octet in the transfer syntax in which it came,
        whether it can be read or not. Nothing is coerced. The same SOP instance UID with other content is kept
        beside the first one, and an alert names both.""")
    yield _statuses(storage)


def _worklist() -> Iterator[str]:
    yield "#### Modality worklist"
    yield from _syntaxes(MODALITY_WORKLIST, worklist.TRANSFER_SYNTAXES)
    yield _text(f"""At most {worklist.MAX_ANSWERS} items are answered. Matching: single value, list of UIDs, wild
        card, range (dates and times, and both combined), sequence, universal. Names match without regard to case
        and accents. Each of these attributes may be a matching key, and is returned where it is asked for; it is
        empty where the order does not have it.""")
    yield _table(("Attribute", "Tag"), [_attribute(tag) for tag in sorted(matching.TABLE)])
    yield _statuses(worklist)


def _steps() -> Iterator[str]:
    yield "#### Modality performed procedure step"
    yield from _syntaxes(steps.MPPS, steps.TRANSFER_SYNTAXES)
    yield _text("""A step opens a procedure record where none is under way, and closes what it opened unless the
        staff has taken over. Attributes required by PS3.4 table F.7.2-1 that are missing do not fail the request;
        the record names them.""")
    yield _statuses(steps)


def _commitment() -> Iterator[str]:
    yield "#### Storage commitment"
    yield from _syntaxes(PUSH_MODEL, commitment.TRANSFER_SYNTAXES)
    yield _text(f"""Up to {commitment.MAX_INSTANCES} instances a request. Each is looked up, its file is read and
        its digest compared before the room stands for it. The report comes on an association of its own, opened by
        the caller to the port configured for the peer, with role selection, again and again until it is taken.
        Failure reasons: 0110 (the file is not what it was), 0112 (not held), 0119 (held under another class), 0131
        (transaction UID used before). What the room stands for it keeps for ever, unless `[retention]` of its
        configuration says for how long, or which archive must stand for it before.""")
    yield _statuses(commitment)


def _requestor() -> Iterator[str]:
    yield "### 4.2.2 Caller"
    yield _text(f"""One association at a time to a peer, opened when there is work and released a few seconds after
        the last of it. Connection {entity.CONNECT_S:g} s, association {entity.ASSOCIATE_S:g} s, answer
        {entity.ANSWER_S:g} s at most. PDUs of at most {entity.MAX_SENT_PDU_BYTES >> 10} KiB are sent.""")
    yield _table(
        ("Service", "Presentation contexts proposed", "Role"),
        [
            ("Storage", "the object's SOP class with the transfer syntax in which it was received", "SCU"),
            ("Modality worklist", _LITTLE, "SCU"),
            ("Modality performed procedure step", _LITTLE, "SCU"),
            ("Storage commitment, request to an archive", _LITTLE, "SCU"),
            ("Storage commitment, report to a C-arm", _LITTLE, "SCP, by role selection"),
        ],
    )
    yield _text(f"""A destination that is away is called again for ever; an object that it refuses is set aside, and
        the record says so. Of the hospital's worklist at most {query.MAX_ITEMS} items are taken.""")


def _network() -> Iterator[str]:
    yield "### 4.3 Network interfaces"
    yield "TCP/IP, IPv4 and IPv6."
    yield "### 4.4 Configuration"
    yield _text("""`room.toml`: AE title, address and port (default 127.0.0.1:11112), peers, destinations, the
        hospital's worklist, TLS, limits. See `config/room.toml`.""")


def _characters() -> Iterator[str]:
    yield "## 6 Support of character sets"
    yield _text(f"""Stored objects keep theirs. A worklist query is read in its own Specific Character Set, any that
        PS3.3 C.12.1.1.2 names. An answer is in the order's own set, in none where ASCII is enough, in the query's,
        or in {items.UTF8}: the first of these that holds every word of it.""")


def _security() -> Iterator[str]:
    yield "## 7 Security"
    yield _text(f"""TLS with certificates on both sides, on a port of its own beside the one without: the BCP 195
        RFC 8996, 9325 TLS secure transport connection profile (PS3.15 B.12) or its modified form (B.13). TLS 1.2
        and 1.3, ALPN `{tls.ALPN}`. Of TLS 1.2:""")
    yield _table(
        ("Profile", "Suites (OpenSSL's names)"), [(name, ", ".join(used)) for name, used in tls.SUITES.items()]
    )
    yield "Whatever is refused is an entry of the record. No entry, log, topic or file name holds a patient."
    yield _text("""Who used the record is an entry, too (`audit.event`), by the event ids, action codes and outcome
        indicators of PS3.15 A.5. It is published with all entries; no audit message is sent as XML or over syslog.""")


def _annexes() -> Iterator[str]:
    yield "## 8 Annexes"
    yield "### 8.1 Storage SOP classes"
    yield "All of PS3.4 annex B, retired ones too, and private ones that the configuration lists."
    yield _table(
        ("SOP class", "UID"), [(UID(uid).name, uid) for uid in sorted(contexts.storage_classes(), key=_by_number)]
    )
    yield "### 8.2 Transfer syntaxes of storage"
    yield _list(contexts.transfer_syntaxes())
    yield "### 8.3 Identification"
    yield _table(
        ("What", "Value"),
        [
            ("Implementation class UID (association)", str(PYNETDICOM_IMPLEMENTATION_UID)),
            ("Implementation version name", str(PYNETDICOM_IMPLEMENTATION_VERSION)),
            ("Implementation class UID (stored files)", IMPLEMENTATION_CLASS_UID),
            ("Private attributes", "none"),
        ],
    )


_SECTIONS = (_head, _overview, _model, _acceptor, _requestor, _network, _characters, _security, _annexes)

# --- blocks -----------------------------------------------------------------------------------------------


def _text(words: str) -> str:
    return fill(" ".join(words.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(header: Row, rows: Iterable[Row]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ("---",) * len(header), *rows))


def _list(uids: Iterable[str]) -> str:
    return "\n".join(f"- {UID(uid).name} (`{uid}`)" for uid in uids)


def _syntaxes(sop_class: str, uids: Iterable[str]) -> Iterator[str]:
    yield f"{UID(sop_class).name} (`{sop_class}`), transfer syntaxes:"
    yield _list(uids)


def _statuses(module: ModuleType) -> str:
    """The table of statuses in a module's docstring."""
    lines = [line for line in (module.__doc__ or "").splitlines() if re.match(r"    [0-9A-F]{4} ", line)]
    return _table(
        ("Status", "Meaning"), [(code, words.strip()) for line in lines for code, words in _STATUS.findall(line)]
    )


def _attribute(tag: int) -> Row:
    return dictionary_description(tag), f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {keyword_for_tag(tag)}"


def _by_number(uid: str) -> list[int]:
    return [int(part) for part in uid.split(".")]


if __name__ == "__main__":
    sys.stdout.write(statement())
