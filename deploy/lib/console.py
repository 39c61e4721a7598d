"""What is said on the terminal, and the wish to stop.

Bounds: `dev.log` is kept below 1 MiB by starting it anew. A terminal that went away (a closed pipe)
ends the talking, never the platform.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

LOG_BYTES = 1 << 20


class Console:
    """Says lines to the terminal, and notes what happens while it runs in a file as well."""

    def __init__(self) -> None:
        self._log: Path | None = None
        self._gone = False

    def log_to(self, path: Path) -> None:
        """From now on `note` also writes here."""
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.unlink()
        self._log = path

    def say(self, line: str = "") -> None:
        """One line on the terminal."""
        if self._gone:
            return
        try:
            print(line, flush=True)
        except OSError:
            self._gone = True
            # Python would try to flush it once more when it ends, and complain.
            sys.stdout = None  # type: ignore[assignment]

    def note(self, line: str) -> None:
        """One line on the terminal and, with the time, in the log."""
        self.say(f"{time.strftime('%H:%M:%S')} {line}")
        if self._log is not None:
            try:
                with self._log.open("a") as log:
                    log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
            except OSError as error:
                self._log = None
                self.say(f"cannot write the log any more: {error}")

    def is_terminal(self) -> bool:
        """Whether a person is watching, so that a line may be overwritten."""
        return not self._gone and sys.stdout is not None and sys.stdout.isatty()

    def progress(self, line: str) -> None:
        """Overwrites the current line of a terminal; an empty line clears it."""
        if self.is_terminal():
            sys.stdout.write(f"\r\033[K{line[:100]}")
            sys.stdout.flush()


class Stop:
    """Set by SIGINT, SIGTERM and SIGHUP, looked at by every loop. No signal interrupts anything
    halfway, so whatever was started is always known and can be ended in order."""

    def __init__(self) -> None:
        self.requested: str | None = None

    def listen(self) -> None:
        """Takes over the signals that mean "stop"."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: object) -> None:
        self.requested = signal.Signals(number).name
