"""The servers of one directory, running by themselves: whoever started them may be gone.

  lock           held while servers are started or ended here, and by a `./deploy/dev` all its life
  ports.json     the ports, the same from start to start
  services.json  what runs: {name: {url, port, pid, started, log}}
  held/<name>    killed on purpose: a `./deploy/dev` does not start it again
  logs/ cassandra/ mongo/ redis/ nats/

Invariant: only a process that services.json names, by its id and by when it began, is ever ended:
an id that the system has given to another since is left alone.

Bounds: the lock is waited for 5 minutes; to serve and to end each server has its own deadline,
after which the start fails, or it is killed. A log that has grown beyond 64 MiB is moved away at a
start.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .console import Console, Stop
from .problem import Problem
from .processes import Spec, explain, keep_log_short
from .servers import DEFAULT_HEAP, SERVERS, Place
from .workdir import alive, hidden_ports, identity, is_free, write_whole

LOCK_S = 300
LOOK_S = 0.1
DEV = "./deploy/dev"
ANY_PORT = range(1024, 65_536)


class Services:
    """The servers of a directory."""

    def __init__(self, root: Path, path: Path, console: Console, stop: Stop) -> None:
        self.root = root
        self.path = path.resolve()
        self.console = console
        self.stop = stop
        # Those that this process started, and when.
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, float] = {}
        try:
            for folder in ("logs", "held"):
                (self.path / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Problem(f"cannot use {self.path}: {error.strerror}") from error

    # What runs.

    def known(self) -> dict[str, dict[str, Any]]:
        """What services.json says, also of processes that have ended since."""
        try:
            known = json.loads((self.path / "services.json").read_text())
            return {name: known[name] for name in SERVERS if name in known
                    and isinstance(known[name]["pid"], int) and known[name]["started"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def running(self) -> dict[str, dict[str, Any]]:
        """Of these, the ones that still run."""
        for child in self._children.values():
            child.poll()
        return {name: entry for name, entry in self.known().items()
                if identity(entry["pid"]) == entry["started"]}

    def entry(self, name: str, port: int, pid: int) -> dict[str, Any]:
        """What services.json says of one."""
        return {"url": SERVERS[name].url_at(port), "port": port, "pid": pid,
                "started": identity(pid) or "", "log": str(self.log(name))}

    def write(self, entries: dict[str, dict[str, Any]]) -> None:
        """Replaces services.json."""
        write_whole(self.path / "services.json", json.dumps(entries, indent=2) + "\n")

    def log(self, name: str) -> Path:
        """Where a server's output goes."""
        return self.path / "logs" / f"{name}.log"

    def held(self, name: str) -> Path:
        """The file that says it was killed on purpose."""
        return self.path / "held" / name

    # Starting and ending.

    def commands(self, names: list[str], heap: str = DEFAULT_HEAP,
                 port_base: int | None = None) -> dict[str, tuple[int, list[str]]]:
        """Installs what is missing; the port and what to run, for each."""
        ports = self._ports(names, port_base)
        commands = {}
        for name in names:
            folder = self.path / name
            folder.mkdir(exist_ok=True, mode=0o700)
            place = Place(self.root, folder, ports, heap, self.console, self.stop)
            commands[name] = (ports[name], SERVERS[name].command(place))
        return commands

    def _ports(self, names: list[str], port_base: int | None) -> dict[str, int]:
        wanted = [port for name in names for port in SERVERS[name].port_names()]
        if port_base is None:
            return hidden_ports(self.path / "ports.json", wanted, keep=ANY_PORT)
        # Each port has its own place, whichever are asked for.
        every = [port for server in SERVERS.values() for port in server.port_names()]
        chosen = {name: port_base + every.index(name) for name in wanted}
        for port in chosen.values():
            if not is_free(port):
                raise Problem(f"port {port} is in use; choose another --port-base")
        write_whole(self.path / "ports.json", json.dumps({**self.ports(), **chosen}))
        return hidden_ports(self.path / "ports.json", wanted, keep=ANY_PORT)

    def ports(self) -> dict[str, int]:
        """The ports that were chosen, for whatever has been started here."""
        try:
            return dict(json.loads((self.path / "ports.json").read_text()))
        except (OSError, ValueError):
            return {}

    def start(self, commands: dict[str, tuple[int, list[str]]],
              before_exec: Callable[[], None] | None = None) -> None:
        """Starts these, and does not wait until they serve."""
        entries = self.running()
        for name, (port, argv) in commands.items():
            self.held(name).unlink(missing_ok=True)
            log = self.log(name)
            keep_log_short(log)
            try:
                with log.open("ab") as output:
                    child = subprocess.Popen(
                        argv, cwd=self.path / name, stdin=subprocess.DEVNULL, stdout=output,
                        stderr=output, start_new_session=True, umask=0o077,
                        preexec_fn=before_exec)
            except OSError as error:
                raise Problem(f"cannot start {name}: {error}") from error
            self._children[name], self._began[name] = child, time.monotonic()
            entries[name] = self.entry(name, port, child.pid)
            self.write(entries)

    def specs(self, names: list[str]) -> tuple[dict[str, Spec], dict[str, int]]:
        """The same for a `./deploy/dev` to look after, and their ports."""
        commands = self.commands(names)
        specs = {}
        for name, (port, argv) in commands.items():
            self.held(name).unlink(missing_ok=True)
            ready = functools.partial(SERVERS[name].ready, port)
            specs[name] = Spec(name, argv, dict(os.environ), self.log(name), ready,
                               SERVERS[name].end_s, held=self.held(name).exists)
        return specs, {name: port for name, (port, _) in commands.items()}

    def wait(self, names: list[str]) -> None:
        """Until all of these serve."""
        began = time.monotonic()
        waiting = list(names)
        while waiting:
            running = self.running()
            for name in list(waiting):
                server = SERVERS[name]
                if name not in running:
                    raise Problem(f"{name} has ended; {explain(self.log(name))}")
                # Looked at again: the answer may be another's, that has the port of one that ended.
                if server.ready(running[name]["port"]) and name in self.running():
                    waiting.remove(name)
                    if name in self._began:
                        took = time.monotonic() - self._began[name]
                        self.console.say(f"{name} serves, {took:.0f} s after it was started")
                elif time.monotonic() - began > server.ready_s:
                    raise Problem(f"{name} does not serve after {server.ready_s:.0f} s; "
                                  f"{explain(self.log(name))}")
            if self.stop.requested:
                raise Problem("stopped while starting")
            time.sleep(LOOK_S)

    def wait_for_dev(self, names: list[str]) -> None:
        """Until the `./deploy/dev` to which they belong has started these."""
        began = time.monotonic()
        waiting = list(names)
        while waiting:
            running = self.running()
            waiting = [name for name in waiting if name not in running
                       or not SERVERS[name].answers(running[name]["port"])]
            if self.stop.requested:
                raise Problem("stopped while waiting")
            if not self.is_devs():
                raise Problem(f"the ./deploy/dev to which {self.path} belongs has ended")
            if waiting and time.monotonic() - began > SERVERS[waiting[0]].ready_s:
                name = waiting[0]
                raise Problem(f"./deploy/dev has not started {name} within "
                              f"{SERVERS[name].ready_s:.0f} s; {explain(self.log(name))}")
            time.sleep(LOOK_S)

    def end(self, names: list[str]) -> None:
        """Asks these to end, all at once, and waits; after its deadline one is killed."""
        entries = self.running()
        ending = {name: entries[name] for name in names if name in entries}
        asked = time.monotonic()
        for name in names:
            self.held(name).unlink(missing_ok=True)
        for entry in ending.values():
            signal_to(entry, signal.SIGTERM)
        while ending:
            running = self.running()
            took = time.monotonic() - asked
            for name, entry in list(ending.items()):
                if name not in running:
                    self.console.say(f"{name} (process {entry['pid']}) ended after {took:.1f} s")
                    del ending[name]
                elif took > SERVERS[name].end_s:
                    self.console.say(f"{name} (process {entry['pid']}) has not ended within "
                                     f"{SERVERS[name].end_s:.0f} s: killing it")
                    signal_to(entry, signal.SIGKILL)
            time.sleep(0.02)
        self.write(self.running())

    def forget(self) -> None:
        """Deletes what the servers kept; none may be running."""
        for name in SERVERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
            self.log(name).unlink(missing_ok=True)

    # Who works here.

    @contextlib.contextmanager
    def locked(self, who: str) -> Iterator[None]:
        """While nobody else starts or ends servers here."""
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(lock)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()} {who}\n".encode(), 0)
            yield
            os.ftruncate(lock, 0)
        finally:
            os.close(lock)

    def _lock(self, lock: int) -> None:
        give_up = time.monotonic() + LOCK_S
        said = False
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise Problem(f"cannot lock {self.path}: {error.strerror}") from error
            owner = self.owner()
            if self.is_devs():
                raise Problem(f"the servers in {self.path} belong to a ./deploy/dev (process "
                              f"{owner.split()[0]}), which starts and ends them; `kill` and "
                              "`start` work here")
            if self.stop.requested:
                raise Problem("stopped while waiting for another to be done")
            if time.monotonic() > give_up:
                raise Problem(f"process {owner} has been working on {self.path} for "
                              f"{LOCK_S / 60:.0f} minutes")
            if not said and owner:
                said = True
                self.console.say(f"waiting for process {owner}, which is working on {self.path}")
            time.sleep(LOOK_S)

    def is_devs(self) -> bool:
        """Whether a `./deploy/dev` looks after the servers here."""
        return self.owner().endswith(" " + DEV)

    def owner(self) -> str:
        """The process that took the lock last, and its program; nothing if it has ended."""
        try:
            owner = (self.path / "lock").read_text().strip()
        except OSError:
            return ""
        pid = owner.split(" ")[0]
        return owner if pid.isdigit() and alive(int(pid)) else ""


def signal_to(entry: dict[str, Any], number: signal.Signals) -> None:
    """Sends a signal to the process of an entry, unless it has ended."""
    if identity(entry["pid"]) == entry["started"]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(entry["pid"], number)
