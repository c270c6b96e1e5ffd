"""TLS towards a broker: whom we trust, who we are, and what to do when one of the two is wrong.

The broker's certificate is always checked, its host name included. There is no option to leave that out.
"""

from __future__ import annotations

import ssl

from esi_room.errors import BrokerError

REMEDIES = {
    "CERTIFICATE_VERIFY_FAILED": "ca_file must hold the authority that signed the broker's certificate, and the URL "
    "must name the host that the certificate was made for",
    "CERTIFICATE_REQUIRED": "the broker wants a client certificate: cert_file and key_file",
}
"""OpenSSL's word for it -> what to do about it."""


class _Socket(ssl.SSLSocket):
    """Closes itself when its handshake fails: paho would leave that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """As in ssl."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def context(ca_file: str | None, cert_file: str | None, key_file: str | None) -> ssl.SSLContext:
    """Trust `ca_file` (None: the system's authorities), show `cert_file`. BrokerError names files that are no good."""
    try:
        made = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None:
            made.load_cert_chain(cert_file, key_file)
    except OSError as error:
        files = ", ".join(filter(None, (ca_file, cert_file, key_file)))
        raise BrokerError(f"the certificates for the broker ({files}) cannot be loaded: {error}") from error
    made.sslsocket_class = _Socket
    return made


def with_remedy(words: str) -> str:
    """`words` of a failed connection, and what to do about it where that is known."""
    remedy = next((remedy for said, remedy in REMEDIES.items() if said in words), None)
    return words if remedy is None else f"{words}; {remedy}"
