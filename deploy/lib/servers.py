"""The servers that hold data when Natter runs on a cluster: how each is started on this machine,
how it is asked whether it serves, and which settings lead to it.

Invariant: everything listens on 127.0.0.1 only, and writes nothing outside its own folder.

Bounds: Cassandra's heap is an option; MongoDB's cache is 256 MiB and its oplog 512 MB; Redis holds
at most 256 MB and then forgets what was used longest ago. How long each may take to serve and to
end stands with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import ask, servertools, tools
from .console import Console, Stop

DEFAULT_HEAP = "512M"


@dataclass(frozen=True)
class Place:
    """Where and with what one server is started."""

    root: Path
    folder: Path
    ports: Mapping[str, int]
    heap: str
    console: Console
    stop: Stop


@dataclass(frozen=True)
class Server:
    """All that is known of a kind of server before it is installed."""

    name: str
    more_ports: tuple[str, ...]
    url: str
    setting: str
    test_variable: str
    # Installs what is missing, writes its configuration, and says what to run.
    command: Callable[[Place], list[str]]
    # Whether the one at this port serves; `ready` also does what a new one needs before it can.
    answers: Callable[[int], bool]
    ready: Callable[[int], bool]
    ready_s: float
    end_s: float

    def url_at(self, port: int) -> str:
        """What the setting says."""
        return self.url.format(port=port)

    def port_names(self) -> list[str]:
        """The port for clients, which has the server's name, then the others."""
        return [self.name, *self.more_ports]


def cassandra(place: Place) -> list[str]:
    """One node, nobody's neighbour."""
    java = servertools.java(place.console, place.stop)
    jars = servertools.cassandra(place.root, place.console, place.stop)
    data = place.folder / "data"
    data.mkdir(exist_ok=True)
    seeds = [{"seeds": f"127.0.0.1:{place.ports['cassandra-storage']}"}]
    settings = {
        "cluster_name": "natter",
        "num_tokens": 1,
        "auto_bootstrap": False,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "data_file_directories": [str(data / "data")],
        "commitlog_directory": str(data / "commitlog"),
        "saved_caches_directory": str(data / "saved_caches"),
        "hints_directory": str(data / "hints"),
        "cdc_raw_directory": str(data / "cdc_raw"),
        # There is one server: what it acknowledged must outlive its process, which what was
        # written since the last mark of a periodic log does not.
        "commitlog_sync": "batch",
        "seed_provider": [{"class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                           "parameters": seeds}],
        "listen_address": "127.0.0.1",
        "rpc_address": "127.0.0.1",
        "storage_port": place.ports["cassandra-storage"],
        "native_transport_port": place.ports["cassandra"],
        "endpoint_snitch": "SimpleSnitch",
        "disk_failure_policy": "stop",
        "commit_failure_policy": "stop",
        # A keyspace that a test drops would otherwise stay on disk.
        "auto_snapshot": False,
    }
    config = place.folder / "cassandra.yaml"
    # JSON is YAML, and quotes what is in a path.
    config.write_text(json.dumps(settings, indent=2) + "\n")
    files = servertools.FILES
    return [
        str(java), f"-Xms{place.heap}", f"-Xmx{place.heap}", f"@{files / 'java.options'}",
        f"-XX:ErrorFile={place.folder / 'java-error.log'}",
        f"-Dcassandra.config={config.as_uri()}", f"-Dcassandra.storagedir={data}",
        f"-Dcassandra.jmx.local.port={place.ports['cassandra-jmx']}",
        f"-Dlogback.configurationFile={files / 'logback.xml'}",
        "-cp", f"{jars}/*", "org.apache.cassandra.service.CassandraDaemon",
    ]


def mongo(place: Place) -> list[str]:
    """A replica set of one: transactions and change streams need a set."""
    mongod = servertools.mongod(place.root, place.console, place.stop)
    data = place.folder / "data"
    data.mkdir(exist_ok=True)
    return [
        str(mongod), "--dbpath", str(data), "--bind_ip", "127.0.0.1",
        "--port", str(place.ports["mongo"]), "--replSet", ask.REPLICA_SET,
        "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "512", "--nounixsocket", "--quiet",
        "--setParameter", "diagnosticDataCollectionEnabled=false",
    ]


def redis(place: Place) -> list[str]:
    """A cache: nothing of it is on disk."""
    server = servertools.redis_server(place.console, place.stop)
    return [
        str(server), "--bind", "127.0.0.1", "--port", str(place.ports["redis"]),
        "--dir", str(place.folder), "--save", "", "--appendonly", "no", "--daemonize", "no",
        "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru",
    ]


def nats(place: Place) -> list[str]:
    """A plain one that lets everybody do everything; that of `./deploy/dev` does not."""
    server = tools.nats_server(place.root, place.console, place.stop)
    return [str(server), "--addr", "127.0.0.1", "--port", str(place.ports["nats"]), "--jetstream",
            "--store_dir", str(place.folder)]


SERVERS = {server.name: server for server in (
    # It takes ten seconds, and minutes on a machine whose few cores compile something else.
    Server("cassandra", ("cassandra-storage", "cassandra-jmx"), "127.0.0.1:{port}",
           "NATTER_STORE__CASSANDRA__URL", "NATTER_TEST_CASSANDRA",
           cassandra, ask.cassandra, ask.cassandra, ready_s=240, end_s=40),
    Server("mongo", (), f"mongodb://127.0.0.1:{{port}}/?replicaSet={ask.REPLICA_SET}",
           "NATTER_STORE__MONGODB__URL", "NATTER_TEST_MONGODB",
           mongo, ask.mongo, ask.mongo_or_initiate, ready_s=90, end_s=40),
    Server("redis", (), "redis://127.0.0.1:{port}",
           "NATTER_STORE__REDIS__URL", "NATTER_TEST_REDIS",
           redis, ask.redis, ask.redis, ready_s=30, end_s=10),
    Server("nats", (), "nats://127.0.0.1:{port}",
           "NATTER_BUS__URL", "NATTER_TEST_NATS",
           nats, ask.nats, ask.nats, ready_s=30, end_s=20),
)}
# What the workers keep data in.
STORES = ("cassandra", "mongo", "redis")
