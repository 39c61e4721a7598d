"""Asking servers, and what is no answer."""

import contextlib
import socket
import threading
import unittest

from lib import ask


class Answering:
    """A server that says the same to everybody."""

    def __init__(self, said):
        self.said = said
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            # Whoever has heard enough may hang up at any moment.
            with peer, contextlib.suppress(OSError):
                peer.sendall(self.said)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass


QUESTIONS = (ask.cassandra, ask.redis, ask.nats, ask.mongo, ask.mongo_or_initiate)


class Asking(unittest.TestCase):
    def server(self, said):
        server = Answering(said)
        self.addCleanup(server.listener.close)
        return server.port

    def test_answers(self):
        self.assertTrue(ask.cassandra(self.server(b"\x84\0\0\0\x06\0\0\0\x02\0\0")))
        self.assertTrue(ask.redis(self.server(b"+PONG\r\n")))
        self.assertTrue(ask.nats(self.server(b'INFO {"server_id":"x"}\r\n')))
        document = ask.to_bson({"isWritablePrimary": True, "setName": "rs0"})
        self.assertTrue(ask.mongo(self.server(message(document))))

    def test_refusals_are_no_answers(self):
        # Redis while it loads, Cassandra's ERROR, a secondary, another's set.
        self.assertFalse(ask.redis(self.server(b"-LOADING Redis is loading the dataset\r\n")))
        self.assertFalse(ask.cassandra(self.server(b"\x84\0\0\0\0\0\0\0\x02\0\0")))
        for said in ({"isWritablePrimary": False, "setName": "rs0"},
                     {"isWritablePrimary": True, "setName": "rs1"}, {"ok": 0}):
            self.assertFalse(ask.mongo(self.server(message(ask.to_bson(said)))), said)

    def test_nonsense_is_no_answer(self):
        for said in (b"", b"\0", b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3, b"\xff" * 400,
                     message(b"\xff" * 50), message(b"\5\0\0\0"), message(b"\x10\0\0\0\x02x\0")):
            port = self.server(said)
            for question in QUESTIONS:
                self.assertFalse(question(port), (question, said))

    def test_nobody_is_no_answer(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        for question in QUESTIONS:
            self.assertFalse(question(port))


def message(document):
    """A document as MongoDB answers it."""
    length = (21 + len(document)).to_bytes(4, "little")
    return length + bytes(8) + (2013).to_bytes(4, "little") + bytes(5) + document


class Documents(unittest.TestCase):
    def test_come_back_as_they_were(self):
        document = {"a": "ä", "b": 7, "c": True, "d": False}
        self.assertEqual(ask.from_bson(ask.to_bson(document)), document)

    def test_what_is_inside_is_passed_over(self):
        document = {"a": {"x": 1}, "b": ["y", {"z": "w"}], "c": 3}
        self.assertEqual(ask.from_bson(ask.to_bson(document)), {"c": 3})

    def test_a_real_answer_is_understood(self):
        # From a mongod 6.0: doubles, times, ids, bytes and 64-bit numbers among what is looked for.
        fields = (b"\x07id\0" + bytes(12) + b"\x09at\0" + bytes(8) + b"\x12n\0" + bytes(8)
                  + b"\x11ts\0" + bytes(8) + b"\x05h\0\x03\0\0\0\0abc" + b"\x0anull\0"
                  + b"\x08isWritablePrimary\0\1" + b"\x01ok\0" + bytes(8))
        document = (len(fields) + 5).to_bytes(4, "little") + fields + b"\0"
        self.assertEqual(ask.from_bson(document), {"isWritablePrimary": True})
