"""Starting, watching and ending, with small processes in the place of Natter's."""

import os
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

from lib import processes
from lib.console import Console, Stop
from lib.problem import Problem
from lib.processes import Spec, Supervisor, keep_log_short, page

HEALTHY = """
import http.server, os, signal, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *a): pass
if sys.argv[2] == "stubborn": signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Supervising(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.notes = []
        console = Console()
        console.say = self.notes.append
        self.stop = Stop()
        self.changes = 0
        self.held = set()
        lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR)
        self.addCleanup(os.close, lock)
        self.supervisor = Supervisor(self.folder, lock, console, self.stop, self.changed)
        self.addCleanup(self.end)

    def changed(self):
        self.changes += 1

    def end(self):
        for process in self.supervisor.all.values():
            process.running.kill()
            process.running.wait()

    def start(self, name, how="", code=HEALTHY, drain=5.0):
        """One more process, not yet ready."""
        port = free_port()
        argv = [sys.executable, "-c", code, str(port), how]
        log = self.folder / f"{name}.log"
        self.supervisor.start(Spec(name, argv, dict(os.environ), log, page(port, "/"), drain,
                                   held=lambda: name in self.held))
        return self.supervisor.all[name]

    def until(self, what, done):
        give_up = time.monotonic() + 15
        while not done():
            self.assertLess(time.monotonic(), give_up, f"{what}: {self.notes}")
            self.supervisor.look()
            time.sleep(0.02)

    def test_what_dies_is_started_again_a_second_later(self):
        process = self.start("a")
        self.supervisor.wait_ready(["a"], 15)
        self.supervisor._settled = True
        first = process.pid
        process.running.kill()
        process.running.wait()
        died = time.monotonic()
        self.until("ready again", lambda: process.ready and process.pid != first)
        self.assertGreater(time.monotonic() - died, 1.0)
        self.assertEqual(self.changes, 1)
        said = "\n".join(self.notes)
        self.assertIn(f"a (process {first}) was ended by SIGKILL; starting it again in 1 s", said)
        self.assertIn("a is ready again", said)

    def test_what_is_held_is_started_again_only_when_nobody_holds_it(self):
        process = self.start("a")
        self.supervisor.wait_ready(["a"], 15)
        first = process.pid
        self.held.add("a")
        process.running.kill()
        process.running.wait()
        self.until("noticed", lambda: process.again_at is not None)
        self.assertIn("not starting it again until that is asked for", "\n".join(self.notes))
        # As long ago as it likes.
        process.again_at = 0.0
        self.supervisor.look()
        self.assertEqual(process.pid, first)
        self.held.clear()
        self.until("ready again", lambda: process.ready and process.pid != first)

    def test_what_cannot_start_fails_the_start_with_its_last_words(self):
        self.start("a", code="import sys; sys.exit('the disk is full')")
        told = "a does not start: it ended with status 1, .*disk is full"
        with self.assertRaisesRegex(Problem, told):
            self.supervisor.wait_ready(["a"], 15)

    def test_what_is_never_ready_fails_the_start(self):
        self.start("a", code="import time; time.sleep(60)")
        with self.assertRaisesRegex(Problem, "a is not ready after"):
            self.supervisor.wait_ready(["a"], 0.5)

    def test_a_stop_ends_the_waiting_and_starts_nothing(self):
        process = self.start("a", code="pass")
        process.running.wait()
        self.stop.requested = "SIGINT"
        with self.assertRaisesRegex(Problem, "stopped"):
            self.supervisor.wait_ready(["a"], 15)
        self.assertEqual(process.ends, 0)
        self.supervisor.watch()

    def test_the_stubborn_are_killed_after_their_deadline_and_it_is_said(self):
        meek, stubborn = self.start("meek"), self.start("stubborn", how="stubborn", drain=0.5)
        self.supervisor.wait_ready(["meek", "stubborn"], 15)
        self.supervisor.end(["meek", "stubborn", "never-started"])
        self.assertEqual(meek.running.returncode, -15)
        self.assertEqual(stubborn.running.returncode, -9)
        said = "\n".join(self.notes)
        self.assertIn("stubborn (process", said)
        self.assertRegex(said, r"stubborn \(process \d+\) has not ended within 0.5 s: killing it")
        self.assertEqual(said.count("killing it"), 1)

    def test_what_cannot_be_executed_is_one_line(self):
        spec = Spec("a", ["/nonexistent/natter"], {}, self.folder / "a.log", page(1, "/"), 1.0)
        with self.assertRaisesRegex(Problem, "cannot start a"):
            self.supervisor.start(spec)


class Logs(unittest.TestCase):
    def test_a_long_one_is_moved_away(self):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "a.log"
            with log.open("ab") as writer:
                writer.truncate(processes.LOG_BYTES + 1)
                keep_log_short(log)
                self.assertEqual(log.stat().st_size, 0)
                writer.write(b"more")
            self.assertEqual(log.read_bytes(), b"more")
            self.assertGreater((Path(folder) / "a.log.1").stat().st_size, processes.LOG_BYTES)
            keep_log_short(Path(folder) / "none.log")
