"""The data directory: who uses it, its ports, and what a reset forgets."""

import os
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from lib import workdir
from lib.console import Stop
from lib.problem import Problem
from lib.workdir import HIDDEN_PORTS, Workdir, is_free, write_whole


class Using(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "a place"

    def open(self):
        work = Workdir(self.path, Stop())
        self.addCleanup(lambda: os.close(work.lock_fd))
        return work

    def test_one_at_a_time(self):
        self.open()
        with self.assertRaisesRegex(Problem, f"process {os.getpid()}"):
            Workdir(self.path, Stop())

    def test_waits_for_what_a_killed_one_left_behind(self):
        work = Workdir(self.path, Stop())
        orphan = subprocess.Popen(["sleep", "0.5"], pass_fds=(work.lock_fd,))
        self.addCleanup(orphan.wait)
        os.ftruncate(work.lock_fd, 0)
        gone = subprocess.Popen(["true"])
        gone.wait()
        os.pwrite(work.lock_fd, f"{gone.pid}\n".encode(), 0)
        os.close(work.lock_fd)
        self.open()
        self.assertIsNotNone(orphan.poll())

    def test_a_stop_ends_the_waiting(self):
        work = Workdir(self.path, Stop())
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(work.lock_fd,))
        self.addCleanup(orphan.wait)
        self.addCleanup(orphan.kill)
        os.ftruncate(work.lock_fd, 0)
        os.close(work.lock_fd)
        stop = Stop()
        stop.requested = "SIGINT"
        with self.assertRaisesRegex(Problem, "stopped while waiting"):
            Workdir(self.path, stop)

    def test_an_impossible_place_is_one_line(self):
        self.path.write_text("a file")
        with self.assertRaisesRegex(Problem, "cannot use"):
            Workdir(self.path, Stop())

    def test_a_reset_forgets_what_is_ours_and_nothing_else(self):
        work = self.open()
        (self.path / "store" / "natter.db").write_text("x")
        (self.path / "ports.json").write_text("{}")
        (self.path / "thesis.txt").write_text("years of work")
        work.reset()
        self.assertEqual(sorted(p.name for p in self.path.iterdir()),
                         ["lock", "logs", "nats", "store", "thesis.txt"])
        self.assertEqual(list((self.path / "store").iterdir()), [])

    def test_an_old_dev_json_is_gone_before_anything_starts(self):
        self.path.mkdir()
        (self.path / "dev.json").write_text("{}")
        self.open()
        self.assertFalse((self.path / "dev.json").exists())


class Ports(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.work = Workdir(Path(holder.name), Stop())
        self.addCleanup(lambda: os.close(self.work.lock_fd))

    def test_are_kept_as_long_as_they_are_free(self):
        first = self.work.hidden_ports(["nats", "edge-0"])
        self.assertTrue(all(port in HIDDEN_PORTS for port in first.values()))
        again = self.work.hidden_ports(["nats", "edge-0", "edge-1"])
        self.assertEqual({n: again[n] for n in first}, first)
        self.assertEqual(len(set(again.values())), 3)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", first["nats"]))
            other.listen(1)
            self.assertFalse(is_free(first["nats"]))
            self.assertNotEqual(self.work.hidden_ports(["nats"])["nats"], first["nats"])

    def test_are_none_of_those_to_avoid(self):
        first = self.work.hidden_ports(["nats"])["nats"]
        self.assertNotEqual(self.work.hidden_ports(["nats"], [first])["nats"], first)

    def test_are_others_than_another_platform_would_choose(self):
        chosen = set()
        for _ in range(100):
            (self.work.path / "ports.json").unlink(missing_ok=True)
            chosen.update(self.work.hidden_ports(["nats"]).values())
        self.assertGreater(len(chosen), 90)

    def test_nonsense_in_the_file_is_forgotten(self):
        for nonsense in ("", "[]", '{"nats": "x"}', '{"nats": 22}', '{"nats": []}', "null"):
            (self.work.path / "ports.json").write_text(nonsense)
            self.assertIn(self.work.hidden_ports(["nats"])["nats"], HIDDEN_PORTS)


class Files(unittest.TestCase):
    def test_are_replaced_whole(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "f"
            write_whole(file, "one")
            write_whole(file, "two")
            self.assertEqual(file.read_text(), "two")
            self.assertEqual(len(list(Path(folder).iterdir())), 1)


class Living(unittest.TestCase):
    def test_knows_the_living_from_the_dead(self):
        child = subprocess.Popen(["true"])
        child.wait()
        self.assertTrue(workdir.alive(os.getpid()))
        self.assertFalse(workdir.alive(child.pid))
