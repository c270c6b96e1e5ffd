"""Every storage SOP class and every transfer syntax: an object is stored as received, so nothing needs decoding.

Both lists come from the libraries' copies of PS3.6 table A-1, so that a new edition of the standard is an update.
"""

from __future__ import annotations

from functools import cache

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context

VERIFICATION = "1.2.840.10008.1.1"

# "Storage" in their names, but services of their own (PS3.4 J) or for media only (PS3.10).
_NO_STORAGE = ("Storage Commitment", "Media Storage Directory")
# DICOM Real-Time Video (PS3.22): streams, never objects of a C-STORE.
_NO_OBJECTS = "1.2.840.10008.1.2.7."

# Where one presentation context offers several, the first of these is taken: what every viewer reads, then what
# loses nothing. A peer must not be asked to compress with loss what it holds without.
PREFERRED = (
    "1.2.840.10008.1.2.1",  # explicit VR little endian
    "1.2.840.10008.1.2",  # implicit VR little endian
    "1.2.840.10008.1.2.4.70",  # JPEG lossless SV1, the usual one of XA
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K lossless RPCL
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.2",  # explicit VR big endian
)


@cache
def storage_classes() -> frozenset[str]:
    """UIDs of all storage SOP classes, retired ones too: old C-arms live long."""
    named = {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and not any(no in name for no in _NO_STORAGE)
    }
    return frozenset(named | {str(context.abstract_syntax) for context in AllStoragePresentationContexts})


@cache
def transfer_syntaxes() -> tuple[str, ...]:
    """UIDs of all transfer syntaxes that an object can have, the preferred ones first."""
    known = [
        uid
        for uid, (_, kind, *_rest) in UID_dictionary.items()
        if kind == "Transfer Syntax" and not uid.startswith(_NO_OBJECTS)
    ]
    return PREFERRED + tuple(uid for uid in known if uid not in PREFERRED)


@cache
def supported(private_classes: tuple[str, ...] = ()) -> tuple[PresentationContext, ...]:
    """What the room accepts: verification, storage of everything, and of the vendors' own classes that it is told."""
    syntaxes: list[str | UID] = [UID(uid) for uid in transfer_syntaxes()]
    storage = [build_context(UID(uid), syntaxes) for uid in sorted(storage_classes().union(private_classes))]
    return (build_context(UID(VERIFICATION)), *storage)
