"""Asking a server whether it serves, in its own protocol: a port that is open says little, as all
of these accept connections before they can do anything.

Bounds: a question takes at most 2 s; an answer is read up to 64 KiB.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

ASK_S = 2.0
ANSWER_BYTES = 64 << 10
REPLICA_SET = "rs0"
# MongoDB's code for a set that was made before.
ALREADY_INITIALIZED = 23
_OP_MSG = 2013
_CQL_SUPPORTED = 0x06


def cassandra(port: int) -> bool:
    """CQL: OPTIONS is answered with SUPPORTED."""
    options = struct.pack(">BBhBi", 0x04, 0, 0, 0x05, 0)
    try:
        with _connected(port) as connection:
            connection.sendall(options)
            header = _exactly(connection, 9)
    except OSError:
        return False
    return header[0] == 0x84 and header[4] == _CQL_SUPPORTED


def redis(port: int) -> bool:
    """PING is answered with PONG, which it is not while Redis loads its data."""
    try:
        with _connected(port) as connection:
            connection.sendall(b"PING\r\n")
            return _exactly(connection, 7) == b"+PONG\r\n"
    except OSError:
        return False


def nats(port: int) -> bool:
    """The server speaks first, with INFO."""
    try:
        with _connected(port) as connection:
            return _exactly(connection, 5) == b"INFO "
    except OSError:
        return False


def mongo(port: int) -> bool:
    """It is the primary of its replica set and takes writes."""
    try:
        said = mongo_command(port, {"hello": 1, "$db": "admin"})
    except (OSError, ValueError):
        return False
    return said.get("isWritablePrimary") is True and said.get("setName") == REPLICA_SET


def mongo_or_initiate(port: int) -> bool:
    """As `mongo`; and one that is no replica set yet, or was one at another port, becomes one."""
    if mongo(port):
        return True
    config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
    try:
        hello = mongo_command(port, {"hello": 1, "$db": "admin"})
        if "setName" in hello:
            return False  # It is being elected.
        said = mongo_command(port, {"replSetInitiate": config, "$db": "admin"})
        if said.get("code") == ALREADY_INITIALIZED:
            again = {"replSetReconfig": {**config, "version": 1}, "force": True, "$db": "admin"}
            mongo_command(port, again)
    except (OSError, ValueError):
        pass  # Not up yet; the next look asks again.
    return False


def mongo_command(port: int, command: dict[str, Any]) -> dict[str, Any]:
    """One command and its answer. ValueError: that was no answer."""
    body = struct.pack("<iB", 0, 0) + to_bson(command)
    with _connected(port) as connection:
        connection.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body)
        length, _, _, kind = struct.unpack("<iiii", _exactly(connection, 16))
        if kind != _OP_MSG or not 26 <= length <= ANSWER_BYTES:
            raise ValueError(f"not an answer: operation {kind} of {length} bytes")
        return from_bson(_exactly(connection, length - 16)[5:])


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), ASK_S)


def _exactly(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise ConnectionResetError("closed before the answer was whole")
        got += more
    return got


def to_bson(document: dict[str, Any]) -> bytes:
    """A document of texts, small integers, booleans, documents and lists."""
    out = b""
    for name, value in document.items():
        key = name.encode() + b"\0"
        if isinstance(value, bool):
            out += b"\x08" + key + bytes([value])
        elif isinstance(value, int):
            out += b"\x10" + key + struct.pack("<i", value)
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            out += b"\x02" + key + struct.pack("<i", len(text)) + text
        elif isinstance(value, list):
            out += b"\x04" + key + to_bson({str(i): item for i, item in enumerate(value)})
        else:
            out += b"\x03" + key + to_bson(value)
    return struct.pack("<i", len(out) + 5) + out + b"\0"


# Types of which only the length matters here.
_FIXED = {0x01: 8, 0x07: 12, 0x09: 8, 0x0A: 0, 0x11: 8, 0x12: 8, 0x13: 16}


def from_bson(data: bytes) -> dict[str, Any]:
    """The texts, 32-bit integers and booleans at the top of a document; the rest is passed over.
    ValueError: it is none."""
    found: dict[str, Any] = {}
    at = 4
    try:
        while data[at] != 0:
            kind = data[at]
            end = data.index(b"\0", at + 1)
            name = data[at + 1:end].decode()
            at = end + 1
            if kind == 0x08:
                found[name] = data[at] == 1
                at += 1
            elif kind == 0x10:
                found[name] = struct.unpack_from("<i", data, at)[0]
                at += 4
            elif kind == 0x02:
                length = struct.unpack_from("<i", data, at)[0]
                found[name] = data[at + 4:at + 3 + length].decode()
                at += 4 + length
            elif kind in (0x03, 0x04):
                at += struct.unpack_from("<i", data, at)[0]
            elif kind == 0x05:
                at += 5 + struct.unpack_from("<i", data, at)[0]
            else:
                at += _FIXED[kind]
    except (IndexError, KeyError, struct.error) as error:
        raise ValueError(f"not a document that is understood: {error!r}") from error
    return found
