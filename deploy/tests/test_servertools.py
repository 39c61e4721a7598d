"""Finding the servers' programs, and refusing what is not what was pinned."""

import hashlib
import os
import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lib import servertools
from lib.console import Console, Stop
from lib.problem import Problem

FAKES = Path(__file__).with_name("fakes")


class Finding(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.console = Console()
        self.console.say = lambda line="": None

    def program(self, name, said):
        """One that says this of itself."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho '{said}'\n")
        path.chmod(0o755)
        return path

    def path(self, **env):
        """Only what is in the folder is on PATH."""
        return mock.patch.dict(os.environ, {"PATH": str(self.folder), **env}, clear=True)

    def test_takes_what_is_new_enough(self):
        mongod = self.program("mongod", "db version v7.0.2\nBuild Info: {}")
        redis = self.program("redis-server", "Redis server v=7.2.4 sha=00000000:0 bits=64")
        java = self.program("java", 'openjdk version "17.0.9" 2023-10-17')
        with self.path():
            self.assertEqual(servertools.mongod(self.folder, self.console, Stop()), mongod)
            self.assertEqual(servertools.redis_server(self.console, Stop()), redis)
            self.assertEqual(servertools.java(self.console, Stop()), java)

    def test_refuses_a_redis_that_is_too_old(self):
        self.program("redis-server", "Redis server v=5.0.14 sha=00000000:0")
        with self.path(), self.assertRaisesRegex(Problem, "is not a Redis 6.2 or newer"):
            servertools.redis_server(self.console, Stop())

    def test_takes_the_java_in_java_home_and_only_17(self):
        self.program("java", 'openjdk version "21.0.1" 2023-10-17')
        home = self.program("home/bin/java", 'openjdk version "17.0.9" 2023-10-17')
        with self.path(JAVA_HOME=str(self.folder / "home")):
            self.assertEqual(servertools.find_java(), home)
        self.program("home/bin/java", 'java version "1.8.0_171"')
        with self.path(JAVA_HOME=str(self.folder / "home")):
            found = servertools.find_java()
            self.assertNotIn(found, (home, self.folder / "java"))

    def test_installs_nothing_for_who_is_not_root(self):
        self.program("apt-get", "")
        with self.path(), mock.patch("os.geteuid", return_value=1000):
            told = r"redis-server is not installed; install it \(sudo apt-get install redis-serv"
            with self.assertRaisesRegex(Problem, told):
                servertools.redis_server(self.console, Stop())

    def test_installs_nothing_where_there_is_no_apt(self):
        with self.path(), self.assertRaisesRegex(Problem, "redis-server is not installed"):
            servertools.redis_server(self.console, Stop())

    def test_a_folder_named_for_cassandra_must_hold_it(self):
        with mock.patch.dict(os.environ, {"NATTER_CASSANDRA": str(self.folder)}):
            with self.assertRaisesRegex(Problem, "there are no jars of Cassandra in"):
                servertools.cassandra(self.folder, self.console, Stop())


class Pinned(unittest.TestCase):
    def test_everything_is_by_version_and_hash(self):
        pinned = servertools.MONGOD_PINNED.read_text()
        self.assertRegex(pinned, r"==\S+ \\\n +--hash=sha256:\w{64}\n")
        jars = (servertools.FILES / "jars.txt").read_text().splitlines()[1:]
        self.assertEqual([j for j in jars if not re.fullmatch(r"[0-9a-f]{64}  \S+\.jar", j)], [])
        version = re.search(r"cassandra-all</artifactId>\s*<version>(.+)<",
                            (servertools.FILES / "pom.xml").read_text())[1]
        self.assertEqual(len([j for j in jars if j.endswith(f" cassandra-all-{version}.jar")]), 1)

    def test_what_is_not_exactly_that_is_refused(self):
        with tempfile.TemporaryDirectory() as holder:
            folder = Path(holder)
            for name in ("a.jar", "b.jar"):
                (folder / name).write_text(name)
            listed = "# A note\n" + "".join(
                f"{hashlib.sha256(n.encode()).hexdigest()}  {n}\n" for n in ("a.jar", "b.jar"))
            servertools.check_files(folder, listed)
            (folder / "c.jar").write_text("more")
            with self.assertRaisesRegex(Problem, "not what is pinned: c.jar"):
                servertools.check_files(folder, listed)
            (folder / "c.jar").unlink()
            (folder / "b.jar").write_text("other")
            with self.assertRaisesRegex(Problem, "not what is pinned: b.jar"):
                servertools.check_files(folder, listed)
            (folder / "b.jar").unlink()
            with self.assertRaisesRegex(Problem, "not what is pinned: b.jar"):
                servertools.check_files(folder, listed)
