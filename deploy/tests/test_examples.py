"""Making the example bots ready."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lib.console import Console, Stop
from lib.examples import Examples
from lib.problem import Problem

ROOT = Path(__file__).resolve().parents[2]


class Making(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = Path(holder.name)
        (self.root / "deploy").mkdir()
        (self.root / "deploy" / "examples").symlink_to(ROOT / "deploy" / "examples")
        console = Console()
        console.say = lambda line="": None
        self.languages = Examples(self.root, console, Stop()).languages()

    def test_a_missing_toolchain_is_said_and_where_to_get_it(self):
        with mock.patch.dict(os.environ, PATH=""):
            for language, words in {"shell": "bash is not", "javascript": "node is not",
                                    "go": "go is not .* https://go.dev/dl"}.items():
                with self.assertRaisesRegex(Problem, words):
                    self.languages[language]()

    def test_what_cannot_be_made_leaves_nothing_that_looks_whole(self):
        with mock.patch("lib.tools.run", return_value=(1, "working\nno such version\n\n")):
            with self.assertRaisesRegex(Problem, "could not make .*: no such version"):
                self.languages["python"]()
            with self.assertRaisesRegex(Problem, "nats command: no such version"):
                with mock.patch("shutil.which", side_effect=lambda program: program):
                    self.languages["shell"]()
        self.assertEqual([p for p in self.root.rglob("*") if p.is_file()], [])


