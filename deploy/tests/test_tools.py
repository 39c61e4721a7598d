"""Finding and building."""

import tempfile
import unittest
from pathlib import Path

from lib import tools
from lib.console import Console, Stop
from lib.problem import Problem


class Versions(unittest.TestCase):
    def test_reads_what_a_server_says(self):
        self.assertEqual(tools.parse_version("nats-server: v2.15.1\n"), (2, 15, 1))
        self.assertIsNone(tools.parse_version("nats-server: unknown"))

    def test_compares_as_numbers(self):
        self.assertLess(tools.parse_version("v2.9.10"), tools.NATS_MIN)
        self.assertGreaterEqual(tools.parse_version("v2.12.0"), tools.NATS_MIN)

    def test_what_is_pinned_is_new_enough_and_hashed(self):
        self.assertGreaterEqual(tools.parse_version("v" + tools.pinned_version()), tools.NATS_MIN)
        self.assertIn("--hash=sha256:", tools.PINNED.read_text())

    def test_a_program_that_is_no_server_is_refused(self):
        self.assertIsNone(tools.version_of(Path("/bin/echo")))
        self.assertIsNone(tools.version_of(Path("/nonexistent")))


class Building(unittest.TestCase):
    def test_finds_the_binaries_in_what_cargo_says(self):
        said = (
            '{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}\n'
            "not json\n"
            '{"reason":"compiler-artifact","target":{"name":"natter-edge"},'
            '"executable":"/t/natter-edge"}\n'
            '{"reason":"build-finished","success":true}\n'
        )
        self.assertEqual(tools.executables(said), {"natter-edge": Path("/t/natter-edge")})

    def test_the_first_error_is_what_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "build.log"
            log.write_text("   Compiling a\nwarning: x\nerror[E0308]: mismatched types\nerror: b\n")
            self.assertEqual(tools.first_error(log), "error[E0308]: mismatched types")
            self.assertEqual(tools.last_line(log), "error: b")
            self.assertEqual(tools.last_line(Path(folder) / "none"), "")


class Running(unittest.TestCase):
    def test_says_how_it_went(self):
        self.assertEqual(tools.run(["sh", "-c", "echo hi; exit 3"], 5, Stop()), (3, "hi\n"))

    def test_is_not_waited_for_longer_than_told(self):
        with self.assertRaisesRegex(Problem, "sleep was not done within 0 s"):
            tools.run(["sleep", "60"], 0.1, Stop())

    def test_a_stop_ends_it(self):
        stop = Stop()
        stop.requested = "SIGINT"
        with self.assertRaisesRegex(Problem, "stopped"):
            tools.run(["sleep", "60"], 60, stop)


class Saying(unittest.TestCase):
    def test_a_missing_program_is_one_line(self):
        with self.assertRaisesRegex(Problem, "natter-nothing is not installed"):
            tools.need("natter-nothing", "for nothing")

    def test_notes_go_to_the_log_too(self):
        with tempfile.TemporaryDirectory() as folder:
            console = Console()
            console.say = lambda line="": None
            console.log_to(Path(folder) / "dev.log")
            console.note("something happened")
            self.assertIn("something happened", (Path(folder) / "dev.log").read_text())
