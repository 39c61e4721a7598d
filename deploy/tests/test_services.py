"""`./deploy/services` as a person uses it: the real script and a real nats-server, with stand-ins
for Cassandra, MongoDB and Redis; what the real ones do is seen by `./deploy/test`."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from lib import services, tools
from lib.console import Console, Stop
from lib.problem import Problem
from lib.servers import SERVERS
from lib.services import Services
from lib.workdir import HIDDEN_PORTS, identity, is_free

ROOT = Path(__file__).resolve().parents[2]
FAKES = Path(__file__).with_name("fakes")
WAIT_S = 30


def stand_ins(folder):
    """The environment in which the stand-ins are found, and no real ones."""
    (folder / "jars").mkdir(exist_ok=True)
    (folder / "jars" / "apache-cassandra.jar").touch()
    env = {k: v for k, v in os.environ.items()
           if k != "JAVA_HOME" and not k.startswith(("FAKE_", "NATTER_TEST_"))}
    return {**env, "PATH": f"{FAKES}:{os.environ['PATH']}",
            "NATTER_CASSANDRA": str(folder / "jars"),
            "NATTER_NATS_SERVER": str(tools.nats_server(ROOT, Console(), Stop()))}


def free_ports(count):
    """The first of so many in a row; not always the same, as others run these tests too."""
    return next(p for p in random.sample(HIDDEN_PORTS[:-count], 200)
                if all(is_free(p + i) for i in range(count)))


class Script(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.data = Path(holder.name) / "with a space"
        self.env = stand_ins(Path(holder.name))
        self.addCleanup(self.call, "down")

    def argv(self, *args):
        return [sys.executable, str(ROOT / "deploy" / "services"), *args, "--data", str(self.data)]

    def call(self, *args, **env):
        """Its exit status and what it said."""
        done = subprocess.run(self.argv(*args), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60, env={**self.env, **env}, check=False)
        said = done.stdout + done.stderr
        self.assertNotIn("Traceback", said)
        return done.returncode, said

    def good(self, *args):
        status, said = self.call(*args)
        self.assertEqual(status, 0, said)
        return said

    def state(self):
        return json.loads((self.data / "services.json").read_text())

    def test_up_says_the_settings_and_down_ends_all(self):
        said = self.good("up")
        state = self.state()
        self.assertEqual(list(state), list(SERVERS))
        for name, server in SERVERS.items():
            self.assertIn(f"\n{server.setting}={state[name]['url']}\n", said)
            self.assertIsNotNone(identity(state[name]["pid"]))
            self.assertIn("isten", Path(state[name]["log"]).read_text())
        self.assertEqual(state["mongo"]["url"],
                         f"mongodb://127.0.0.1:{state['mongo']['port']}/?replicaSet=rs0")
        self.assertEqual(self.good("status").count(" serves, port "), 4)

        self.good("up")
        self.assertEqual(self.state(), state)

        self.good("down", "redis", "nats")
        self.assertEqual(list(self.state()), ["cassandra", "mongo"])
        self.assertEqual(self.call("status", "cassandra", "mongo")[0], 0)
        status, said = self.call("status")
        self.assertEqual(status, 1)
        self.assertIn("redis      does not run", said)
        self.good("down")
        self.assertEqual([p["pid"] for p in state.values() if identity(p["pid"])], [])

        self.good("up")
        self.assertEqual({n: p["port"] for n, p in self.state().items()},
                         {n: p["port"] for n, p in state.items()})

    def test_what_was_killed_comes_back_where_it_was(self):
        self.good("up", "mongo", "redis")
        before = self.state()
        self.good("kill", "mongo")
        self.assertIsNone(identity(before["mongo"]["pid"]))
        status, said = self.call("status", "mongo")
        self.assertEqual((status, "mongo      does not run, killed on purpose" in said), (1, True))
        self.assertIn("mongo does not run", self.call("kill", "mongo")[1])
        self.good("start", "mongo")
        after = self.state()
        self.assertEqual(after["redis"], before["redis"])
        self.assertEqual(after["mongo"]["url"], before["mongo"]["url"])
        self.assertNotEqual(after["mongo"]["pid"], before["mongo"]["pid"])
        self.good("start", "mongo")
        self.assertEqual(self.state(), after)

    def test_what_lost_its_port_does_not_come_back_elsewhere(self):
        self.good("up", "redis")
        port = self.state()["redis"]["port"]
        self.good("kill", "redis")
        other = subprocess.Popen([str(FAKES / "redis-server"), "--port", str(port)],
                                 stdout=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        give_up = time.monotonic() + WAIT_S
        while is_free(port):
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.02)
        status, said = self.call("start", "redis")
        self.assertEqual(status, 1)
        self.assertIn(f"the port of redis, {port}, has been taken by another", said)

    def test_only_what_it_started_is_ended(self):
        self.good("up", "redis")
        other = subprocess.Popen(["sleep", "60"])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        state = self.state()
        redis = state["redis"]["pid"]
        # As if Redis had ended and the system had given its id to another.
        state["redis"]["pid"] = other.pid
        (self.data / "services.json").write_text(json.dumps(state))
        self.addCleanup(os.kill, redis, signal.SIGKILL)
        self.assertEqual(self.call("status", "redis")[0], 1)
        self.good("down")
        self.assertEqual(self.call("kill", "redis")[0], 1)
        self.assertIsNone(other.poll())
        self.assertIsNotNone(identity(redis))

    def test_one_that_cannot_start_fails_and_ends_the_others(self):
        self.good("up", "redis")
        status, said = self.call("up", FAKE_FAIL="mongod")
        self.assertEqual(status, 1)
        self.assertIn("./deploy/services: mongo has ended; its last words: the disk is full", said)
        self.assertEqual(list(self.state()), ["redis"])

    def test_a_stop_while_starting_ends_what_was_started(self):
        running = subprocess.Popen(self.argv("up", "redis", "mongo"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**self.env, "FAKE_MUTE": "mongod"})
        give_up = time.monotonic() + WAIT_S
        while not (self.data / "logs" / "mongo.log").exists():
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=WAIT_S)
        self.assertEqual((running.returncode, said),
                         (1, b"./deploy/services: stopped while starting\n"))
        self.assertEqual(self.state(), {})

    def test_the_ports_can_be_chosen(self):
        base = free_ports(6)
        self.good("up", "redis", "mongo", "--port-base", str(base))
        ports = {n: p["port"] for n, p in self.state().items()}
        self.assertEqual(ports, {"redis": base + 4, "mongo": base + 3})
        status, said = self.call("up", "cassandra", "--port-base", str(base + 3))
        self.assertEqual((status, f"port {base + 3} is in use" in said), (1, True))

    def test_wrong_arguments(self):
        for args in (["sideways"], ["up", "oracle"], ["kill"], ["start"], ["up", "--heap", "lots"],
                     ["up", "--port-base", "80"]):
            self.assertEqual(self.call(*args)[0], 2, args)


class Running(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.said = []
        console = Console()
        console.say = lambda line="": self.said.append(line)
        self.stop = Stop()
        self.services = Services(ROOT, Path(holder.name) / "s", console, self.stop)
        self.addCleanup(self.services.end, list(SERVERS))
        for patch in (mock.patch.dict(os.environ, stand_ins(Path(holder.name)), clear=True),
                      mock.patch.dict(SERVERS, {"redis": dataclasses.replace(
                          SERVERS["redis"], ready_s=0.5, end_s=0.5)})):
            patch.start()
            self.addCleanup(patch.stop)

    def start(self, **env):
        with mock.patch.dict(os.environ, env):
            self.services.start(self.services.commands(["redis"]))

    def test_one_that_listens_and_does_not_answer_does_not_serve(self):
        self.start(FAKE_MUTE="redis-server")
        with mock.patch("lib.ask.ASK_S", 0.1):
            with self.assertRaisesRegex(Problem, "redis does not serve after 0 s; its last words"):
                self.services.wait(["redis"])

    def test_the_stubborn_are_killed_after_their_deadline_and_it_is_said(self):
        self.start(FAKE_STUBBORN="redis-server")
        with mock.patch.dict(SERVERS, {"redis": dataclasses.replace(SERVERS["redis"], ready_s=30)}):
            self.services.wait(["redis"])
        self.services.end(["redis"])
        self.assertEqual(self.services.running(), {})
        self.assertIn("has not ended within 0 s: killing it", "\n".join(self.said))

    def test_one_at_a_time_works_on_a_directory(self):
        with self.services.locked("./deploy/test"):
            self.stop.requested = "SIGINT"
            with self.assertRaisesRegex(Problem, "stopped while waiting"):
                with self.services.locked("./deploy/services"):
                    self.fail("both have it")
        self.stop.requested = None
        with self.services.locked("./deploy/services"):
            self.assertFalse(self.services.is_devs())
        self.assertEqual(self.services.owner(), "")

    def test_what_a_dev_looks_after_is_left_to_it(self):
        with self.services.locked(services.DEV):
            self.assertTrue(self.services.is_devs())
            told = f"belong to a ./deploy/dev .process {os.getpid()}"
            with self.assertRaisesRegex(Problem, told):
                with self.services.locked("./deploy/services"):
                    self.fail("both have it")

    def test_nonsense_in_the_file_is_nothing_that_runs(self):
        for nonsense in ("", "[]", "null", '{"redis": 3}', '{"redis": {"pid": "x"}}'):
            (self.services.path / "services.json").write_text(nonsense)
            self.assertEqual(self.services.running(), {}, nonsense)
