"""`./deploy/test` and the servers it starts for the crates' tests: the real script, with stand-ins
for cargo and the servers."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from lib.workdir import identity

from .test_services import stand_ins

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30


class Test(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.data = Path(holder.name) / "servers"
        self.env = stand_ins(Path(holder.name))
        self.env.pop("CI", None)
        self.said = Path(holder.name) / "said"
        self.done = Path(holder.name) / "done"

    def start(self, *args, **env):
        with self.said.open("wb") as output:
            running = subprocess.Popen(
                [sys.executable, str(ROOT / "deploy" / "test"), "--crates", "--data",
                 str(self.data), *args],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**self.env, **env})
        self.addCleanup(running.wait, WAIT_S)
        self.addCleanup(self.done.touch)
        return running

    def run_to_its_end(self, *args, **env):
        """Its exit status and what it said; its servers are gone."""
        status = self.start(*args, **env).wait(WAIT_S)
        said = self.said.read_text()
        self.assertNotIn("Traceback", said)
        self.assertEqual(self.servers(), {})
        return status, said

    def servers(self):
        file = self.data / "services.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def until(self, what, done):
        give_up = time.monotonic() + WAIT_S
        while not done():
            self.assertLess(time.monotonic(), give_up, f"{what}: {self.said.read_text()}")
            time.sleep(0.02)

    def test_the_crates_are_told_where_fresh_servers_are(self):
        for _ in range(2):
            status, said = self.run_to_its_end()
            self.assertEqual(status, 0, said)
            told = next(line for line in said.splitlines() if line.startswith("testing "))
            self.assertIn("NATTER_TEST_CASSANDRA=127.0.0.1:", told)
            self.assertIn("NATTER_TEST_MONGODB=mongodb://127.0.0.1:", told)
            self.assertIn("NATTER_TEST_REDIS=redis://127.0.0.1:", told)
            kept = self.data / "mongo" / "data" / "kept"
            self.assertFalse(kept.exists())
            kept.write_text("x")

    def test_a_failure_ends_the_servers_too(self):
        status, said = self.run_to_its_end(FAKE_TEST_STATUS="101")
        self.assertEqual((status, "FAILED: cargo test" in said), (1, True))
        self.assertIn("cassandra (process", said)
        status, said = self.run_to_its_end(FAKE_BUILD_ERROR="error: no disk")
        self.assertEqual((status, "FAILED: build" in said), (1, True))

    def test_a_stop_ends_the_servers_too(self):
        running = self.start(FAKE_TEST_UNTIL=str(self.done))
        self.until("tests run", lambda: "testing test" in self.said.read_text())
        servers = self.servers()
        self.assertEqual(list(servers), ["cassandra", "mongo", "redis"])
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(WAIT_S), 1)
        self.assertIn("./deploy/test: stopped", self.said.read_text())
        self.assertFalse([s["pid"] for s in servers.values() if identity(s["pid"])])

    @unittest.skipUnless(sys.platform == "linux", "other systems leave them to the next run")
    def test_being_killed_ends_the_servers_too(self):
        running = self.start(FAKE_TEST_UNTIL=str(self.done))
        self.until("tests run", lambda: "testing test" in self.said.read_text())
        servers = self.servers()
        running.kill()
        running.wait()
        self.until("gone", lambda: not [s for s in servers.values() if identity(s["pid"])])

    def test_a_server_that_cannot_start_is_a_failure_and_the_rest_still_runs(self):
        status, said = self.run_to_its_end(FAKE_FAIL="mongod")
        self.assertEqual(status, 1)
        self.assertIn("FAILED: the cluster stores (mongo has ended; its last words: the disk is "
                      "full", said)
        self.assertIn("== cargo test: good", said)
        self.env["NATTER_CASSANDRA"] = "/nonexistent"
        status, said = self.run_to_its_end()
        self.assertEqual(status, 1)
        self.assertIn("FAILED: the cluster stores (NATTER_CASSANDRA: there are no jars", said)

    def test_a_server_that_dies_under_the_tests_is_a_failure(self):
        running = self.start(FAKE_TEST_UNTIL=str(self.done))
        self.until("tests run", lambda: "testing test" in self.said.read_text())
        os.kill(self.servers()["redis"]["pid"], signal.SIGKILL)
        self.done.touch()
        self.assertEqual(running.wait(WAIT_S), 1)
        self.assertIn("FAILED: redis ended while the tests ran", self.said.read_text())

    def test_they_can_be_left_out_but_not_in_ci(self):
        status, said = self.run_to_its_end("--no-cluster")
        self.assertEqual(status, 0, said)
        self.assertIn("--skip cluster:: with \n", said)
        self.assertIn("left out: the cluster stores (--no-cluster)", said)
        self.assertFalse(self.data.exists())
        status, said = self.run_to_its_end("--no-cluster", CI="true")
        self.assertEqual(status, 1)
        self.assertIn("FAILED: the cluster stores (--no-cluster)", said)
