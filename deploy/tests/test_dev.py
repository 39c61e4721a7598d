"""`./deploy/dev` as a person uses it: the real script and a real nats-server, with stand-ins for
cargo, edges and workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from lib import tools
from lib.console import Console, Stop
from lib.workdir import alive

from .test_services import free_ports, stand_ins

ROOT = Path(__file__).resolve().parents[2]
FAKES = Path(__file__).with_name("fakes")
WAIT_S = 30


class Dev(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nats = tools.nats_server(ROOT, Console(), Stop())

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.data = Path(holder.name) / "with a space"
        self.port = free_ports(3)

    def start(self, *args, **env):
        self.said = Path(self.data.parent) / "said"
        with self.said.open("wb") as output:
            running = subprocess.Popen(
                [sys.executable, str(ROOT / "deploy" / "dev"), "--data", str(self.data),
                 "--port", str(self.port), *args],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{FAKES}:{os.environ['PATH']}",
                     "NATTER_NATS_SERVER": str(self.nats), **env},
            )
        self.addCleanup(self.finish, running)
        return running

    def finish(self, running):
        if running.poll() is None:
            running.terminate()
            running.wait(WAIT_S)

    def until(self, what, done):
        give_up = time.monotonic() + WAIT_S
        while True:
            try:
                found = done()
            except (OSError, ValueError):
                found = None
            if found:
                return found
            self.assertLess(time.monotonic(), give_up, f"{what}: {self.said.read_text()}")
            time.sleep(0.05)

    def ready(self):
        self.until("ready", lambda: "ready" in self.said.read_text().splitlines())
        return self.state()

    def state(self):
        return json.loads((self.data / "dev.json").read_text())

    def refusal(self, *args, **env):
        """Its one line, of a start that fails."""
        running = self.start(*args, **env)
        self.assertNotEqual(running.wait(WAIT_S), 0)
        lines = self.said.read_text().splitlines()
        told = [line for line in lines if line.startswith("./deploy/dev: ")]
        self.assertEqual(len(told), 1, lines)
        self.assertNotIn("Traceback", "\n".join(lines))
        return told[0]

    def test_starts_describes_restarts_and_ends(self):
        running = self.start("--edges", "3", "--no-limits")
        state = self.ready()
        self.assertEqual([e["url"] for e in state["edges"]],
                         [f"http://127.0.0.1:{self.port + i}" for i in range(3)])
        self.assertEqual([w["roles"] for w in state["workers"]],
                         [["setup", "auth", "profiles", "channels", "bots", "ingress"],
                          ["history", "persister", "delivery", "auditor"]])
        self.assertEqual(len(state["admin"]), 5)
        self.assertIn(f"open      http://127.0.0.1:{self.port}", self.said.read_text())
        logs = self.data / "logs"
        self.assertIn("NATTER_EDGE__LIMITS_PER_ADDRESS", (logs / "edge-2.log").read_text())
        self.assertIn("NATTER_AUTH__LIMITS_PER_ADDRESS", (logs / "workers-0.log").read_text())

        edge, nats = state["edges"][1]["pid"], state["nats"]["pid"]
        os.kill(edge, signal.SIGKILL)
        self.until("another edge", lambda: self.state()["edges"][1]["pid"] != edge)
        os.kill(nats, signal.SIGKILL)
        self.until("another nats-server", lambda: self.state()["nats"]["pid"] != nats)
        self.until("ready again", lambda: "nats-server is ready again" in self.said.read_text())
        noted = (logs / "dev.log").read_text()
        self.assertIn(f"edge-1 (process {edge}) was ended by SIGKILL", noted)

        state = self.state()
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(WAIT_S), 0)
        said = self.said.read_text()
        order = ("edge-2", "workers-1", "nats-server")
        ended = [said.index(f"{name} ended with status") for name in order]
        self.assertEqual(ended, sorted(ended), said)
        self.assertNotIn("killing", said)
        self.assertFalse((self.data / "dev.json").exists())
        pids = [p["pid"] for p in [*state["edges"], *state["workers"], state["nats"]]]
        self.assertFalse([pid for pid in pids if alive(pid)])

    def test_a_cluster_has_its_stores_and_lets_a_test_kill_one(self):
        self.env = stand_ins(self.data.parent)
        running = self.start("--edges", "1", "--cluster", "--streams", "4", **self.env)
        state = self.ready()
        self.assertEqual(list(state["stores"]), ["cassandra", "mongo", "redis"])
        told = (self.data / "logs" / "workers-1.log").read_text()
        for setting in ("CASSANDRA__URL", "MONGODB__URL", "REDIS__URL"):
            self.assertIn(f"NATTER_STORE__{setting}", told)
        self.assertIn("NATTER_SETUP__STREAMS", told)
        self.assertNotIn("NATTER_STORE__", (self.data / "logs" / "edge-0.log").read_text())

        # What dies by itself comes back by itself; what was killed on purpose does not.
        redis, mongo = (dict(state["stores"][name]) for name in ("redis", "mongo"))
        os.kill(redis["pid"], signal.SIGKILL)
        self.until("another redis", lambda: self.state()["stores"]["redis"]["pid"] != redis["pid"])
        self.assertEqual(self.services("kill", "mongo"), 0)
        self.until("held", lambda: f"mongo (process {mongo['pid']}) was ended by SIGKILL; not "
                   "starting it again" in self.said.read_text())
        self.assertEqual(self.services("status", "mongo"), 1)
        self.assertEqual(self.services("up"), 1)
        self.assertEqual(self.services("start", "mongo"), 0)
        again = self.state()["stores"]["mongo"]
        self.assertEqual(again["url"], mongo["url"])
        self.assertNotEqual(again["pid"], mongo["pid"])

        state = self.state()
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(WAIT_S), 0)
        said = self.said.read_text()
        self.assertLess(said.index("workers-1 ended"),
                        said.rindex("cassandra was ended by SIGTERM"))
        self.assertFalse([p["pid"] for p in state["stores"].values() if alive(p["pid"])])

    def services(self, *args):
        """The exit status of ./deploy/services on the platform's stores."""
        return subprocess.run(
            [sys.executable, str(ROOT / "deploy" / "services"), *args, "--data",
             str(self.data / "services")], env=self.env, stdin=subprocess.DEVNULL, timeout=60,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode

    def test_a_store_that_cannot_start_is_one_line(self):
        line = self.refusal("--cluster", FAKE_FAIL="mongod", **stand_ins(self.data.parent))
        self.assertIn("mongo does not start: it ended with status 1, its last words: the disk is "
                      "full", line)

    def test_a_reset_forgets_the_stores_too(self):
        kept = self.data / "services" / "mongo" / "data" / "kept"
        env = stand_ins(self.data.parent)
        self.finish_after_ready("--cluster", **env)
        for args in (["--cluster", "--reset"], ["--reset"]):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text("x")
            self.finish_after_ready("--cluster", **env)
            self.assertTrue(kept.exists())
            self.finish_after_ready(*args, **env)
            self.assertFalse(kept.exists())

    def test_the_next_start_has_the_same_data_and_ports(self):
        self.finish_after_ready()
        kept = self.data / "store" / "kept"
        kept.write_text("x")
        ports = (self.data / "ports.json").read_text()
        self.finish_after_ready()
        self.assertTrue(kept.exists())
        self.assertEqual((self.data / "ports.json").read_text(), ports)
        self.finish_after_ready("--reset")
        self.assertFalse(kept.exists())

    def finish_after_ready(self, *args, **env):
        running = self.start("--edges", "1", *args, **env)
        self.ready()
        running.terminate()
        self.assertEqual(running.wait(WAIT_S), 0)

    def test_a_killed_one_leaves_nobody_and_can_be_started_again(self):
        env = stand_ins(self.data.parent)
        running = self.start("--edges", "1", "--cluster", **env)
        state = self.ready()
        running.kill()
        running.wait()
        pids = [p["pid"] for p in [*state["edges"], *state["workers"], state["nats"],
                                   *state["stores"].values()]]
        if sys.platform == "linux":
            self.until("all gone", lambda: not [pid for pid in pids if alive(pid)])
            self.start("--edges", "1", "--cluster", **env)
            self.ready()

    def test_two_on_one_directory(self):
        running = self.start("--edges", "1")
        self.ready()
        self.assertIn(f"another ./deploy/dev (process {running.pid})", self.refusal("--edges", "1"))

    def test_a_port_in_use(self):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", self.port + 1))
            other.listen(1)
            self.assertIn(f"port {self.port + 1} is in use", self.refusal())

    def test_a_failed_build(self):
        line = self.refusal(FAKE_BUILD_ERROR="error: no disk")
        self.assertIn("the build failed: error: no disk; all of it is in", line)

    def test_a_missing_tool(self):
        line = self.refusal(PATH="/nonexistent")
        self.assertIn("cargo is not installed or not on PATH", line)

    def test_a_server_too_old_or_none_at_all(self):
        self.assertIn("NATTER_NATS_SERVER", self.refusal(NATTER_NATS_SERVER="/bin/true"))

    def test_a_process_that_does_not_start_ends_the_others(self):
        line = self.refusal("--edges", "1", FAKE_FAIL="edge")
        self.assertIn("edge-0 does not start: it ended with status 1, its last words: "
                      "cannot do anything", line)
        self.assertIn("nats-server ended", self.said.read_text())

    def test_wrong_arguments(self):
        for args in (["--edges", "0"], ["--port", "99999"], ["--edges", "x"], ["--what"],
                     ["--streams", "0"]):
            running = self.start(*args)
            self.assertEqual(running.wait(WAIT_S), 2)
