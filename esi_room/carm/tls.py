"""TLS of the C-arm's side (PS3.15 annex B): a context for peers that connect here, one for peers that the room calls.

Rules of this file:
- Certificates on both sides, always: a peer without one that `ca_file` vouches for is told so, and that is recorded.
- TLS 1.2 or later, TLS 1.3 where the peer has it: B.12 and B.13 both, by RFC 8996.
- What is wrong with the room's own files is found at the start, by a handshake of the room with itself, not by the
  first C-arm of the day. No word of a key is ever in an error.

What the two profiles ask for, and what OpenSSL has of it:

    bcp195           B.12  TLS 1.2: the four suites of RFC 9325 section 4.2
    modified-bcp195  B.13  TLS 1.2: ECDHE with AES-GCM, ChaCha20-Poly1305 or AES-CCM, nothing else. (Its Camellia-GCM
                           suites are in no OpenSSL.) RSA keys of 2048 bits or more, SHA-256 or better: security level 2
    both                   TLS 1.3: AES-256-GCM, ChaCha20-Poly1305, AES-128-GCM. (B.13's two CCM suites are off in
                           OpenSSL unless its own configuration file turns them on.)
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from esi_room.carm.settings import Tls
from esi_room.errors import ConfigurationError

# RFC 7301's registry of protocol names has one for DICOM; RFC 9325 section 3.7 asks for its use.
ALPN = "dicom"

# Strongest first: the server's order counts (RFC 9325 section 4.2.1).
_BCP195 = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
_MODIFIED = (
    *_BCP195[:2],
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES256-CCM8",
    *_BCP195[2:],
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-CCM8",
)
SUITES = {"bcp195": _BCP195, "modified-bcp195": _MODIFIED}
"""OpenSSL's names of the TLS 1.2 suites of each profile."""

# OpenSSL 3.0 level 2: RSA and DH of 2048 bits or more, curves of 224 or more, no SHA-1 signatures.
_SECURITY_LEVEL = "@SECLEVEL=2"

_SIDE = {True: ssl.PROTOCOL_TLS_SERVER, False: ssl.PROTOCOL_TLS_CLIENT}
# A handshake of TLS 1.2 goes to and fro twice, one of TLS 1.3 once and a half.
_FLIGHTS = 4

# X509_V_ERR_*: why a certificate was not accepted.
_VERIFICATION = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by itself alone",
    19: "it is signed by an authority that is not in ca_file",
    20: "it is signed by an authority that is not in ca_file",
    21: "it is signed by an authority that is not in ca_file",
    23: "it has been revoked",
    26: "it is made out for another purpose",
    66: "its key is shorter than the profile allows",
    67: "the key of its authority is shorter than the profile allows",
    68: "it is signed with a digest that the profile forbids",
}

# OpenSSL's names for what went wrong with a peer's handshake.
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer showed no certificate",
    "UNSUPPORTED_PROTOCOL": "the peer speaks TLS older than 1.2",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer does not speak TLS 1.2 or later",
    "NO_SHARED_CIPHER": "the peer offers no cipher suite of the profile",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "the peer offers no signature algorithm for our certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not know who signed our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer says that our certificate has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer finds nothing in common with us, or wants a certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the peer asks for a certificate and got none",
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS",
}


def server_context(tls: Tls) -> ssl.SSLContext:
    """For peers that connect here. ConfigurationError where the files cannot be used, or not any more."""
    context = _context(tls, server=True)
    context.num_tickets = 0  # nothing is written to a peer that it did not ask for
    context.options |= ssl.OP_NO_RENEGOTIATION  # RFC 9325 section 3.5; a peer could have keys made without end
    _check_own(tls, server=True)
    return context


def client_context(tls: Tls) -> ssl.SSLContext:
    """For peers that the room calls. ConfigurationError likewise.

    Host names are not compared: peers are called by address, and DICOM devices' certificates seldom name one. Who
    may be called is decided by whom `ca_file` vouches for.
    """
    context = _context(tls, server=False)
    _check_own(tls, server=False)
    return context


def why(error: OSError) -> str:
    """In words, why a handshake or a connection with TLS failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _VERIFICATION.get(error.verify_code, error.verify_message)
        return f"the peer's certificate is not accepted: {reason}"
    if isinstance(error, ssl.SSLEOFError):
        return "the peer hung up in the middle of the handshake"
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason, f"no TLS: {(error.reason or 'unknown').lower().replace('_', ' ')}")
    if isinstance(error, TimeoutError):
        return "silent in the middle of the handshake"
    return error.strerror or str(error)


def _context(tls: Tls, *, server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(_SIDE[server])
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join((*SUITES[tls.profile], _SECURITY_LEVEL)))
    context.set_alpn_protocols([ALPN])
    _readable(tls)
    try:
        context.load_verify_locations(tls.ca_file)
    except OSError as error:
        raise ConfigurationError([f"carm.tls.ca_file: {tls.ca_file}: no certificate in PEM form"]) from error
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except OSError as error:
        raise ConfigurationError([f"carm.tls.cert_file, key_file: {_own(error)}"]) from error
    return context


def _readable(tls: Tls) -> None:
    problems = []
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(tls, key)
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            problems.append(f"carm.tls.{key}: {path}: {error.strerror}")
    if problems:
        raise ConfigurationError(problems)


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise OSError("the key is encrypted; the room cannot type a password")


def _own(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return str(error)
    match error.reason:
        case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH":
            return "the key is not the certificate's"
        case "EE_KEY_TOO_SMALL":
            return "the key is shorter than the profile allows (RSA: 2048 bits)"
        case "CA_MD_TOO_WEAK":
            return "the certificate is signed with a digest that the profile forbids (SHA-256 or better)"
        case _:
            return "no certificate and key in PEM form"


def _check_own(tls: Tls, *, server: bool) -> None:
    """A handshake of the room with somebody who trusts its certificate itself: `ca_file` is for the peers'."""
    ours, theirs = ssl.SSLContext(_SIDE[server]), ssl.SSLContext(_SIDE[not server])
    for context in (ours, theirs):
        context.check_hostname = False
        context.load_cert_chain(tls.cert_file, tls.key_file)
    ours.verify_mode, theirs.verify_mode = ssl.CERT_NONE, ssl.CERT_REQUIRED
    theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    theirs.load_verify_locations(tls.cert_file)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (ours.wrap_bio(back, there, server_side=server), theirs.wrap_bio(there, back, server_side=not server))
    try:
        for end in ends * _FLIGHTS:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        reason = _VERIFICATION.get(error.verify_code, error.verify_message)
        raise ConfigurationError([f"carm.tls.cert_file: {tls.cert_file}: {reason}"]) from error
