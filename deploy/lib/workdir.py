"""The data directory of one platform: who uses it, which ports it has, and emptying it.

  lock         held by `deploy/dev` and by every process it started, so that two platforms never
               write the same files, also when `deploy/dev` itself was killed
  ports.json   the ports on loopback that people need not know, the same from start to start
  secrets/ nats/ store/ logs/ dev.json

Invariant: only what is named here is ever deleted; the directory may hold other things as well.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from .console import Stop
from .problem import Problem

OURS = ("secrets", "nats", "store", "logs", "ports.json", "dev.json")
# Below the ports that systems give to outgoing connections, of which a platform under load has
# many: one of them could otherwise sit on the port of a process that is just being restarted.
HIDDEN_PORTS = range(20_000, 30_000)
ORPHANS_S = 40


class Workdir:
    """A data directory, locked for as long as this process or any that got `lock_fd` lives."""

    def __init__(self, path: Path, stop: Stop) -> None:
        self.path = path.resolve()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Problem(f"cannot use {self.path}: {error.strerror}") from error
        self._lock(stop)
        try:
            for folder in ("logs", "nats", "store"):
                (self.path / folder).mkdir(exist_ok=True, mode=0o700)
            (self.path / "dev.json").unlink(missing_ok=True)
        except OSError as error:
            raise Problem(f"cannot use {self.path}: {error.strerror}") from error

    def _lock(self, stop: Stop) -> None:
        give_up = time.monotonic() + ORPHANS_S
        while True:
            try:
                fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise Problem(f"cannot lock {self.path}: {error.strerror}") from error
            owner = os.pread(self.lock_fd, 20, 0).decode(errors="replace").strip()
            if owner.isdigit() and alive(int(owner)):
                raise Problem(f"another ./deploy/dev (process {owner}) is using {self.path}; "
                              "end it, or choose another --data")
            if stop.requested:
                raise Problem("stopped while waiting for an earlier ./deploy/dev to end")
            if time.monotonic() > give_up:
                raise Problem(f"processes of an earlier ./deploy/dev still use {self.path}; end "
                              f"them: {self._left_behind()}")
            time.sleep(0.2)
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, f"{os.getpid()}\n".encode(), 0)

    def _left_behind(self) -> str:
        """The processes in the last dev.json that are still there."""
        try:
            state = json.loads((self.path / "dev.json").read_text())
            pids = [p["pid"] for p in [*state["edges"], *state["workers"], state["nats"],
                                       *state.get("stores", {}).values()]]
        except (OSError, ValueError, KeyError, TypeError):
            return "their ids are not known"
        return "kill " + " ".join(str(pid) for pid in pids if alive(pid))

    def reset(self) -> None:
        """Forgets everything: messages, accounts, keys, logs."""
        for name in OURS:
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for folder in ("logs", "nats", "store"):
            (self.path / folder).mkdir(mode=0o700)

    def hidden_ports(self, names: list[str], avoid: Collection[int] = ()) -> dict[str, int]:
        """As `hidden_ports` below, kept in this directory."""
        return hidden_ports(self.path / "ports.json", names, avoid)


def hidden_ports(file: Path, names: list[str], avoid: Collection[int] = (),
                 keep: Collection[int] = HIDDEN_PORTS) -> dict[str, int]:
    """A free port for each name: the one it had, if that is one to `keep` and free, else another;
    none of those to `avoid`, which are free only because their server has not been started yet."""
    try:
        known = json.loads(file.read_text())
        had = {n: p for n, p in known.items() if p in keep and p not in avoid}
    except (OSError, ValueError, AttributeError):
        had = {}
    chosen: dict[str, int] = {}
    for name in names:
        taken = {*avoid, *had.values(), *chosen.values()}
        # In the order of the draw: that of a set of numbers is nearly the same every time, and two
        # platforms that start together would choose the same ports.
        fresh = [port for port in random.sample(HIDDEN_PORTS, 200) if port not in taken]
        candidates = [had[name], *fresh] if name in had else fresh
        port = next((p for p in candidates if is_free(p)), None)
        if port is None:
            raise Problem("found no free port between "
                          f"{HIDDEN_PORTS.start} and {HIDDEN_PORTS.stop - 1}")
        chosen[name] = port
    write_whole(file, json.dumps({**had, **chosen}, indent=2) + "\n")
    return chosen


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def identity(pid: int) -> str | None:
    """When a process began, in words that only it has; None if there is none, or if it has ended
    and only its parent does not know yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else identity_by_ps(pid)
    except OSError:
        return None  # It ended while it was being read.
    # What follows its name, which may hold anything: proc(5), from the third field.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    # Counted from the start of the system.
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"


def identity_by_ps(pid: int) -> str | None:
    """The same where there is no /proc, such as on macOS."""
    said = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=10, check=False).stdout
    state, _, began = said.strip().partition(" ")
    return None if not state or state.startswith("Z") else began.strip()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier server that are winding down do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def write_whole(path: Path, content: str) -> None:
    """Replaces a file in one step: a reader sees the old or the new one, never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(content)
    os.replace(fresh, path)
