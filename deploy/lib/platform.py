"""Which processes make up a Natter on one machine, with their arguments and environment.

Settings that the person has in the environment (NATTER_<SECTION>__<KEY>) reach edges and workers,
except those that say where things are: these are decided here.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .problem import Problem
from .processes import Process, Spec, page
from .servers import SERVERS

# Every role in one of two processes: what answers people, and what reads the log.
WORKERS = {
    "workers-0": ["setup", "auth", "profiles", "channels", "bots", "ingress"],
    "workers-1": ["history", "persister", "delivery", "auditor"],
}
NATS = "nats-server"
# Longer than the programs' own deadlines, so that SIGKILL means that something is wrong.
DRAIN_S = {"edge": 30.0, "workers": 30.0, "nats": 20.0}


@dataclass(frozen=True)
class Platform:
    """Everything that decides what is started."""

    root: Path
    data: Path
    nats_server: Path
    edge: Path
    workers: Path
    ports: dict[str, int]
    first_port: int
    edges: int
    limits: bool
    # The stores to use in place of the embedded one, and how each is started.
    stores: dict[str, Spec]
    store_ports: dict[str, int]
    # How many log streams; None: as the settings say.
    streams: int | None

    def edge_names(self) -> list[str]:
        """edge-0, edge-1, ..."""
        return edge_names(self.edges)

    def nats_url(self) -> str:
        """Where edges and workers connect."""
        return f"nats://127.0.0.1:{self.ports['nats']}"

    def edge_url(self, index: int) -> str:
        """Where people connect. The address, not a name: it is what the edge listens on."""
        return f"http://127.0.0.1:{self.first_port + index}"

    def admin_url(self, name: str) -> str:
        """Where a process shows its metrics and health."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def log(self, name: str) -> Path:
        """Where a process's output goes."""
        return self.data / "logs" / f"{name}.log"

    def nats(self) -> Spec:
        """The bus and the log."""
        env = {
            **inherited(),
            "NATTER_NATS_PORT": str(self.ports["nats"]),
            "NATTER_NATS_MONITOR_PORT": str(self.ports["monitor"]),
            "NATTER_NATS_STORE": quoted(self.data / "nats"),
            "NATTER_NATS_OPERATOR": quoted(self.data / "secrets" / "operator.jwt"),
            "NATTER_NATS_ACCOUNTS": quoted(self.data / "secrets" / "accounts"),
        }
        argv = [str(self.nats_server), "-c", str(self.root / "nats-config" / "single.conf")]
        # It ends as cleanly on SIGTERM, but calls that a failure (status 1).
        return Spec(NATS, argv, env, self.log(NATS), page(self.ports["monitor"], "/healthz"),
                    DRAIN_S["nats"], signal.SIGINT)

    def worker(self, name: str) -> Spec:
        """One process with some of the roles."""
        argv = [str(self.workers), "--roles", ",".join(WORKERS[name]),
                "--admin-listen", f"127.0.0.1:{self.ports[name]}"]
        env = {**self._env(), "NATTER_STORE__EMBEDDED": str(self.data / "store")}
        for store, port in self.store_ports.items():
            env[SERVERS[store].setting] = SERVERS[store].url_at(port)
        if self.streams is not None:
            env["NATTER_SETUP__STREAMS"] = str(self.streams)
        if not self.limits:
            env["NATTER_AUTH__LIMITS_PER_ADDRESS"] = "false"
        return Spec(name, argv, env, self.log(name), page(self.ports[name], "/readyz"),
                    DRAIN_S["workers"])

    def edge_spec(self, index: int) -> Spec:
        """One edge."""
        name = self.edge_names()[index]
        argv = [str(self.edge), "--listen", f"127.0.0.1:{self.first_port + index}",
                "--public-url", self.edge_url(index),
                "--admin-listen", f"127.0.0.1:{self.ports[name]}"]
        env = self._env()
        # People also type the name; the page's socket then comes from there.
        names = [f"http://localhost:{self.first_port + i}" for i in range(self.edges)]
        env.setdefault("NATTER_EDGE__ALLOWED_ORIGINS", json.dumps(names))
        if not self.limits:
            env["NATTER_EDGE__LIMITS_PER_ADDRESS"] = "false"
        return Spec(name, argv, env, self.log(name), page(self.ports[name], "/readyz"),
                    DRAIN_S["edge"])

    def _env(self) -> dict[str, str]:
        env = {
            **inherited(),
            "NATTER_BUS__URL": self.nats_url(),
            "NATTER_BUS__SECRETS": str(self.data / "secrets"),
        }
        env.setdefault("NATTER_LOG__FORMAT", "text")
        return env

    def state(self, processes: dict[str, Process]) -> str:
        """dev.json: what runs where, for programs."""
        shown: dict[str, Any] = {
            "edges": [{"url": self.edge_url(i), "pid": processes[n].pid}
                      for i, n in enumerate(self.edge_names())],
            "nats": {"url": self.nats_url(), "pid": processes[NATS].pid},
            "workers": [{"roles": roles, "pid": processes[n].pid} for n, roles in WORKERS.items()],
            "admin": [self.admin_url(n) for n in [*self.edge_names(), *WORKERS]],
        }
        if self.stores:
            shown["stores"] = {name: {"url": SERVERS[name].url_at(port), "port": port,
                                      "pid": processes[name].pid}
                               for name, port in self.store_ports.items()}
        return json.dumps(shown, indent=2) + "\n"


def edge_names(edges: int) -> list[str]:
    """edge-0, edge-1, ..."""
    return [f"edge-{i}" for i in range(edges)]


def port_names(edges: int) -> list[str]:
    """What needs a port that people need not know."""
    return ["nats", "monitor", *WORKERS, *edge_names(edges)]


def adopt_log(data: Path) -> None:
    """Gives a log of before accounts were signed to the account that it now belongs to: the server
    names its directory by the account."""
    try:
        account = (data / "secrets" / "keys" / "bus.pub").read_text().strip()
    except OSError as error:
        raise Problem(f"natter-workers secrets named no account: {error}") from error
    before = data / "nats" / "jetstream" / "BUS"
    if before.is_dir():
        before.rename(before.with_name(account))


def quoted(path: Path) -> str:
    """A path as a value of nats-server's configuration, whatever is in it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def inherited() -> dict[str, str]:
    """The environment of the person who started it."""
    return dict(os.environ)
