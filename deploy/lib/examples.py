"""The example bots, made ready to run: each language's libraries as pinned beside its examples, the
programs in Go, and the `nats` command for the shell. Those in Rust are built with the workspace.

Everything is in `.natter/tools`, where the tests look for it, but node_modules, which Node.js wants
beside the scripts. What is there already, and of the pinned versions, is left as it is.

Bounds: whatever fetches or compiles 10 minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import tools
from .console import Console, Stop
from .problem import Problem

NATS_CLI = "0.5.0"
MAKE_S = 600


class Examples:
    """Makes the examples of one language after the other ready."""

    def __init__(self, root: Path, console: Console, stop: Stop) -> None:
        self.console, self.stop = console, stop
        self.sources = root / "deploy" / "examples"
        self.tools = root / ".natter" / "tools"
        self.made = self.tools / "examples"

    def languages(self) -> dict[str, Callable[[], None]]:
        """How each is made ready, in the names of their folders. Each raises a Problem if it cannot
        be, as when its toolchain is missing."""
        return {"shell": self.shell, "python": self.python, "javascript": self.javascript,
                "go": self.go}

    def shell(self) -> None:
        """The `nats` command."""
        for program in ("bash", "jq"):
            tools.need(program, "the example bots in a shell use it")
        to = self.tools / f"nats-{NATS_CLI}" / "nats"
        if to.exists():
            return
        go = tools.need("go", "it builds the nats command; see https://go.dev/dl")
        self.console.say(f"building the nats command {NATS_CLI} (some minutes, once)")
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.tools) as folder:
            self._run("the nats command", "env", f"GOBIN={folder}", go, "install",
                      f"github.com/nats-io/natscli/nats@v{NATS_CLI}")
            os.replace(Path(folder) / "nats", to)

    def python(self) -> None:
        """A virtual environment, from wheels that are kept, so that others need no network."""
        wanted = (self.sources / "python" / "requirements.txt").read_text() + sys.version
        home, wheels = self.made / "python", self.made / "wheels"
        done = home / "natter-installed"
        if done.exists() and done.read_text() == wanted:
            return
        for folder in (home, wheels):
            shutil.rmtree(folder, ignore_errors=True)
        self._run("a virtual environment (on Debian it needs python3-venv)",
                  sys.executable, "-m", "venv", str(home))
        pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        what = ["--requirement", str(self.sources / "python" / "requirements.txt")]
        self._run("the libraries for Python",
                  *pip, "wheel", "--quiet", "--wheel-dir", str(wheels), *what)
        self._run("the libraries for Python", *pip, "install", "--quiet", "--no-index",
                  "--find-links", str(wheels), *what)
        done.write_text(wanted)

    def javascript(self) -> None:
        """The packages."""
        tools.need("node", "the example bots in JavaScript run on it")
        tools.npm_packages(self.sources / "javascript", "the packages for JavaScript", self.stop)

    def go(self) -> None:
        """The programs."""
        go = tools.need("go", "it builds the example bots in Go; see https://go.dev/dl")
        made = self.made / "go"
        made.mkdir(parents=True, exist_ok=True)
        for command in (("vet",), ("build", "-o", f"{made}/")):
            self._run("the example bots in Go", go, "-C", str(self.sources / "go"), *command,
                      "./...")

    def _run(self, what: str, *argv: str) -> None:
        status, said = tools.run(list(argv), MAKE_S, self.stop)
        if status != 0:
            lines = [line for line in said.splitlines() if line.strip()]
            raise Problem(f"could not make {what}: {(lines or ['no reason given'])[-1].strip()}")
