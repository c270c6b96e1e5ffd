"""What every line over the network needs: to notice that the other end is gone, and to say why it is not there."""

from __future__ import annotations

import socket

CONNECT_TIMEOUT_S = 5.0  # a device server is on the same floor: it answers within milliseconds or not at all

# A peer that lost its power or its cable sends nothing, and neither does a monitor that is switched off. The
# kernel asks the peer instead: after KEEPALIVE_IDLE_S of silence, every KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES
# times. 5 + 3 x 2 = 11 s until a dead peer ends the connection, below the quiet time of the slowest device (15 s).
KEEPALIVE_IDLE_S = 5
KEEPALIVE_INTERVAL_S = 2
KEEPALIVE_PROBES = 3


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel notice that the peer is gone, and send small requests at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    # The same limit for bytes that were sent and never acknowledged: keepalive probes only an idle connection.
    limit_ms = 1000 * (KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)


def why_unreachable(error: BaseException, host: str, port: int) -> str:
    """Why `host`:`port` could not be connected to, and where to look."""
    if isinstance(error, TimeoutError):
        return f"{host} does not answer: is the device server on, in this network, and not behind a firewall?"
    if isinstance(error, ConnectionRefusedError):
        return f"{host} is there, but nothing listens on port {port} (or it serves another client already)"
    if isinstance(error, socket.gaierror):
        return f"no host is called {host!r} here: check the name, or write its address"
    return f"{host}:{port} cannot be reached: {getattr(error, 'strerror', None) or error}"
