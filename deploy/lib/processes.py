"""Starting, watching, restarting and ending processes; one thread, one loop, no signals but those
that `Stop` notes.

Invariants: a process is ended by the id it was started with, never by name; SIGKILL comes only
after the deadline of its kind, and is announced; nothing is started once a stop was asked for.

Bounds: a process that ended is started again after 1 s, for as long as the platform runs, unless
someone holds it; one that ends three times before the platform is ready makes the start fail. A
look at a health page takes at most 1 s, at a store what `ask` says. A log
grows to 64 MiB and is then moved to `<name>.log.1`, replacing what was there.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .console import Console, Stop
from .problem import Problem
from .tools import last_line

RESTART_S = 1.0
TRIES_AT_START = 3
LOOK_S = 0.1
LOG_BYTES = 64 << 20
LOGS_EVERY_S = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Spec:
    """What to start, and how to know that it works."""

    name: str
    argv: list[str]
    env: dict[str, str]
    log: Path
    ready: Callable[[], bool]
    drain_s: float
    end_with: signal.Signals = signal.SIGTERM
    # Whether it is to stay as it is when it has ended.
    held: Callable[[], bool] = lambda: False


@dataclass
class Process:
    """One process of the platform, through all its lives."""

    spec: Spec
    running: subprocess.Popen[bytes]
    started: float
    ends: int = 0
    ready: bool = False
    again_at: float | None = None
    asked_at: float = field(default=0.0)

    @property
    def pid(self) -> int:
        """Of its present life, or of the last."""
        return self.running.pid

    def ended_how(self) -> str:
        """Its exit status in words."""
        status = self.running.returncode
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"


class Supervisor:
    """All processes of one platform, in the order they were started."""

    def __init__(self, root: Path, lock_fd: int, console: Console, stop: Stop,
                 changed: Callable[[], None]) -> None:
        self._root = root
        self._lock_fd = lock_fd
        self._console = console
        self._stop = stop
        self._changed = changed
        self._logs_at = 0.0
        self._settled = False
        self.all: dict[str, Process] = {}

    def start(self, spec: Spec) -> None:
        """Starts one more process."""
        keep_log_short(spec.log)
        self.all[spec.name] = Process(spec, self._spawn(spec), time.monotonic())

    def wait_ready(self, names: list[str], seconds: float) -> None:
        """Waits until all of these are ready."""
        give_up = time.monotonic() + seconds
        while True:
            self.look()
            waiting = [self.all[n] for n in names if not self.all[n].ready]
            if not waiting:
                return
            if self._stop.requested:
                raise Problem("stopped while starting")
            for process in self.all.values():
                if process.ends >= TRIES_AT_START:
                    raise Problem(f"{process.spec.name} does not start: it {process.ended_how()}, "
                                  f"{explain(process.spec.log)}")
            if time.monotonic() > give_up:
                spec = waiting[0].spec
                raise Problem(f"{spec.name} is not ready after {seconds:.0f} s; "
                              f"{explain(spec.log)}")
            time.sleep(LOOK_S)

    def watch(self) -> None:
        """Keeps everything running until a stop is asked for."""
        self._settled = True
        while not self._stop.requested:
            self.look()
            time.sleep(LOOK_S)

    def look(self) -> None:
        """One look at every process: notices ends, starts again, asks whether it is ready."""
        now = time.monotonic()
        for process in self.all.values():
            if self._stop.requested:
                return
            if process.again_at is not None:
                if now >= process.again_at and not process.spec.held():
                    self._start_again(process)
            elif process.running.poll() is not None:
                process.ends += 1
                process.ready = False
                process.again_at = now + RESTART_S
                then = ("not starting it again until that is asked for" if process.spec.held()
                        else f"starting it again in {RESTART_S:.0f} s")
                self._console.note(f"{process.spec.name} (process {process.pid}) "
                                   f"{process.ended_how()}; {then}")
            elif not process.ready and now - process.asked_at > LOOK_S:
                process.asked_at = now
                self._ask_ready(process)
        if now - self._logs_at > LOGS_EVERY_S:
            self._logs_at = now
            for process in self.all.values():
                keep_log_short(process.spec.log)

    def _start_again(self, process: Process) -> None:
        process.again_at = None
        process.started = time.monotonic()
        try:
            process.running = self._spawn(process.spec)
        except Problem as problem:
            process.again_at = time.monotonic() + RESTART_S
            self._console.note(str(problem))
            return
        self._console.note(f"{process.spec.name} started again as process {process.pid}")
        if self._settled:
            self._changed()

    def _ask_ready(self, process: Process) -> None:
        if not process.spec.ready():
            return
        # The answer may be another's, which has taken the port of one that just ended.
        if process.running.poll() is not None:
            return
        process.ready = True
        if self._settled:
            took = time.monotonic() - process.started
            self._console.note(f"{process.spec.name} is ready again after {took:.1f} s")

    def _spawn(self, spec: Spec) -> subprocess.Popen[bytes]:
        try:
            with spec.log.open("ab") as log:
                return subprocess.Popen(
                    spec.argv, cwd=self._root, env=spec.env, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log,
                    # A session of its own: Ctrl-C reaches only us, and we end them in order.
                    start_new_session=True,
                    # What it writes is for the person who started it.
                    umask=0o077,
                    # The lock of the data directory lives as long as anyone who may write there.
                    pass_fds=(self._lock_fd,),
                    preexec_fn=end_with_parent,
                )
        except OSError as error:
            raise Problem(f"cannot start {spec.name}: {error}") from error

    def end(self, names: list[str]) -> None:
        """Asks these to end, all at once, and waits; after the deadline they are killed."""
        ending = [self.all[n] for n in names if n in self.all]
        ending = [p for p in ending if p.again_at is None and p.running.poll() is None]
        asked = time.monotonic()
        for process in ending:
            process.running.send_signal(process.spec.end_with)
        while ending:
            time.sleep(0.02)
            took = time.monotonic() - asked
            for process in list(ending):
                spec = process.spec
                if process.running.poll() is not None:
                    self._console.note(f"{spec.name} {process.ended_how()} after {took:.1f} s")
                elif took > spec.drain_s:
                    self._console.note(f"{spec.name} (process {process.pid}) has not ended within "
                                       f"{spec.drain_s:g} s: killing it")
                    process.running.kill()
                    process.running.wait()
                else:
                    continue
                ending.remove(process)


def page(port: int, path: str) -> Callable[[], bool]:
    """Asks whether a page on loopback answers 200."""
    return lambda: answers(port, path)


def answers(port: int, path: str) -> bool:
    """Whether a page on loopback answers 200. Not urllib: it would ask a proxy set for the web."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def explain(log: Path) -> str:
    """Where to look, and the last thing that was said there."""
    return f"its last words: {last_line(log) or '(none)'} (all of them: {log})"


def keep_log_short(log: Path) -> None:
    """Moves a long log away. A running process goes on writing at the end of the emptied file."""
    try:
        if log.stat().st_size > LOG_BYTES:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)
    except OSError:
        pass  # The log is an aid; Natter runs without it.


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """In a new process: asks the kernel to end it should `deploy/dev` itself be killed. Systems
    other than Linux have no such thing; the lock then tells the next start who is left."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
