"""The least that a durable C-STORE receiver can do: receive, write, hash, fsync, answer. The daemon is measured
against it.

    python benchmarks/peers/bare_store.py PORT FOLDER

One peer at a time, nothing checked, nothing remembered, no header read, no record. Its one fsync is that of the object.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import sys
from pathlib import Path

MAX_PDU_BYTES = 1 << 20
ASSOCIATE_RQ, ASSOCIATE_AC, P_DATA, RELEASE_RQ, RELEASE_RP = 1, 2, 4, 5, 6
COMMAND, LAST = 0x01, 0x02


def main(port: int, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        number = 0
        while True:
            peer, _ = listener.accept()
            with peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number = serve(peer, folder, number)


def serve(peer: socket.socket, folder: Path, number: int) -> int:
    """One association; the number of the last file."""
    buffer = memoryview(bytearray(MAX_PDU_BYTES + 6))
    command, file, digest = b"", -1, hashlib.sha256()
    while header := read(peer, buffer, 6):
        kind, size = header[0], int.from_bytes(header[2:6], "big")
        body = read(peer, buffer, size)
        if kind == ASSOCIATE_RQ:
            peer.sendall(accepted(bytes(body)))
        elif kind == RELEASE_RQ:
            peer.sendall(struct.pack(">BBII", RELEASE_RP, 0, 4, 0))
        elif kind != P_DATA:
            break
        elif body[5] & COMMAND:  # storescu sends a command set and each fragment as a PDU of its own
            number += 1
            command, digest = bytes(body[6:]), hashlib.sha256()
            file = os.open(folder / f"{number}.dcm", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        else:
            os.write(file, body[6:])
            digest.update(body[6:])
            if body[5] & LAST:
                os.fsync(file)
                os.close(file)
                digest.hexdigest()
                peer.sendall(answer(body[4], command))
    return number


def read(peer: socket.socket, buffer: memoryview, size: int) -> memoryview:
    """`size` octets, in the beginning of `buffer`; none at the end of the connection."""
    got = 0
    while got < size:
        more = peer.recv_into(buffer[got:size])
        if not more:
            return buffer[:0]
        got += more
    return buffer[:size]


def accepted(request: bytes) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 9.3.3) that takes every presentation context in its first transfer syntax."""
    items, at = [item(0x10, b"1.2.840.10008.3.1.1.1")], 68
    while at < len(request):
        kind, size = request[at], int.from_bytes(request[at + 2 : at + 4], "big")
        value = request[at + 4 : at + 4 + size]
        if kind == 0x20:
            syntax = next(each for code, each in inner(value[4:]) if code == 0x40)
            items.append(item(0x21, value[:1] + bytes(3) + item(0x40, syntax)))
        at += 4 + size
    items.append(item(0x50, item(0x51, struct.pack(">I", MAX_PDU_BYTES)) + item(0x52, b"1.2.3")))
    body = request[:68] + b"".join(items)
    return struct.pack(">BBI", ASSOCIATE_AC, 0, len(body)) + body


def inner(value: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(value):
        size = int.from_bytes(value[at + 2 : at + 4], "big")
        found.append((value[at], value[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def answer(context: int, command: bytes) -> bytes:
    """A C-STORE-RSP (PS3.7 9.3.1.2) with status 0000."""
    said, at = {}, 0
    while at < len(command):
        tag, size = struct.unpack_from("<xxHI", command, at)
        said[tag] = command[at + 8 : at + 8 + size]
        at += 8 + size
    values = {0x0002: said[0x0002], 0x0100: b"\x01\x80", 0x0120: said[0x0110], 0x0800: b"\x01\x01", 0x0900: b"\0\0"}
    values[0x1000] = said[0x1000]
    rest = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in values.items())
    whole = struct.pack("<HHII", 0, 0, 4, len(rest)) + rest
    value = struct.pack(">IBB", len(whole) + 2, context, COMMAND | LAST) + whole
    return struct.pack(">BBI", P_DATA, 0, len(value)) + value


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
