"""The page in real browsers: a platform of its own, and Chromium driven by playwright-core.

playwright-core comes by npm into tests/browser/node_modules (ignored by git), without a browser of
its own: Chromium must be there.

Bounds: the build and start 40 minutes, the browsers 10 minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import tools
from .console import Console, Stop
from .problem import Problem
from .workdir import HIDDEN_PORTS, is_free

START_S, RUN_S, END_S = 2400, 600, 90
CHROMIUM = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """The Chromium to drive."""
    for candidate in (os.environ.get("NATTER_CHROMIUM"), *CHROMIUM):
        found = shutil.which(candidate) if candidate else None
        if found:
            return found
    raise Problem("the browser test needs Chromium: install it, or name it in NATTER_CHROMIUM")


def run(root: Path, script: Path, console: Console, stop: Stop) -> int:
    """Starts a platform, has the script use it, and ends it. The script gets the path of dev.json
    as its argument, and Chromium's in NATTER_CHROMIUM."""
    browser = chromium()
    node = tools.need("node", "it runs the browser test")
    tools.npm_packages(script.parent, "playwright-core for the browser test", stop)
    data = root / ".natter" / "browser-test"
    port = next((p for p in HIDDEN_PORTS if is_free(p) and is_free(p + 1)), HIDDEN_PORTS.start)
    dev = subprocess.Popen(
        [sys.executable, str(root / "deploy" / "dev"), "--reset", "--no-limits",
         "--data", str(data), "--port", str(port)],
        stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(dev, data / "dev.json", stop)
        env = {**os.environ, "NATTER_CHROMIUM": browser, "NATTER_DEV_JSON": str(data / "dev.json")}
        used = subprocess.Popen([node, str(script), str(data / "dev.json")], cwd=root, env=env,
                                stdin=subprocess.DEVNULL, start_new_session=True)
        return end_of(used, stop)
    finally:
        dev.terminate()
        try:
            dev.wait(END_S)
        except subprocess.TimeoutExpired:
            console.say("./deploy/dev did not end in time: killing it")
            dev.kill()
            dev.wait()


def wait_for(dev: subprocess.Popen[bytes], dev_json: Path, stop: Stop) -> None:
    """Until the platform is ready. The file of an earlier one is not taken for this one's."""
    give_up = time.monotonic() + START_S
    began = time.time()
    while not (dev_json.exists() and dev_json.stat().st_mtime >= began - 1):
        if stop.requested:
            raise Problem("stopped")
        if dev.poll() is not None:
            raise Problem("./deploy/dev for the browser test did not start; why is said above")
        if time.monotonic() > give_up:
            raise Problem(f"./deploy/dev for the browser test was not ready within {START_S} s")
        time.sleep(0.2)


def end_of(used: subprocess.Popen[bytes], stop: Stop) -> int:
    """The exit status of the script; too slow, or a stop, ends it."""
    give_up = time.monotonic() + RUN_S
    while used.poll() is None:
        if stop.requested or time.monotonic() > give_up:
            used.terminate()
            try:
                used.wait(10)
            except subprocess.TimeoutExpired:
                used.kill()
                used.wait()
            raise Problem("stopped" if stop.requested else f"the browsers took more than {RUN_S} s")
        time.sleep(0.1)
    return used.returncode
