"""The daemons that a sandbox runs, each a value: what to start, with which settings, and when it is ready.

Here are HDFS's; those of Spark's cluster managers are in `managers`.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sparktrain.sandbox import probe

DATANODES = 2

Ports = Mapping[str, Mapping[str, int]]
"""Each daemon's port numbers, by daemon and by what the port is for."""


@dataclass(frozen=True)
class Daemon:
    """One Java process of the sandbox.

    In `settings`, `arguments`, `java_options` and `environment`, `{name}` of one of the daemon's own ports stands for its
    number, `{all[daemon][name]}` for another's, `{data}` for the URI of the daemon's own data folder and `{folder}` for
    its path.

    Attributes:
        name: what `status` and `kill` call it.
        main: its Java main class.
        ports: what its ports are for; `http` is the one that a user can open.
        ready: given its web address, returns None when it serves, else what it waits for.
        settings: Hadoop settings of this daemon only, which its main class takes as `-D key=value`.
        arguments: what else its main class takes.
        java_options: for Java itself.
        environment: variables beside the sandbox's own.
        prepare: arguments with which the main class makes the data folder, once; None if the daemon does it itself.
        memory: its Java heap's limit in MiB.
    """

    name: str
    main: str
    ports: tuple[str, ...]
    ready: Callable[[str], str | None]
    settings: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    java_options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] | None = None
    memory: int = 256

    def command(
        self,
        java: Path,
        class_path: list[str],
        options: list[str],
        ports: Ports,
        data: Path,
        arguments: tuple[str, ...] | None = None,
    ) -> list[str]:
        """Return the command line that runs the daemon, or its preparation with the arguments for that."""
        filled = partial(self._filled, ports=ports, data=data)
        return [
            str(java),
            f"-Xmx{self.memory}m",
            "-Xms32m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.net.preferIPv4Stack=true",
            *options,
            *map(filled, self.java_options),
            "-cp",
            ":".join(class_path),
            self.main,
            *(part for key, value in self.settings.items() for part in ("-D", f"{key}={filled(value)}")),
            *map(filled, self.arguments if arguments is None else arguments),
        ]

    def variables(self, ports: Ports, data: Path) -> dict[str, str]:
        """Return its environment's own variables."""
        return {name: self._filled(value, ports, data) for name, value in self.environment.items()}

    def _filled(self, text: str, ports: Ports, data: Path) -> str:
        return text.format(**ports[self.name], all=ports, data=data.as_uri(), folder=data)


def hdfs() -> tuple[Daemon, ...]:
    """Return a NameNode and the DataNodes that it is to have."""
    namenode = Daemon(
        name="namenode",
        main="org.apache.hadoop.hdfs.server.namenode.NameNode",
        ports=("rpc", "http"),
        settings={
            "dfs.namenode.name.dir": "{data}",
            "dfs.namenode.safemode.extension": "0",
            "dfs.namenode.handler.count": "4",
            # A DataNode that was killed counts as dead after 2 rechecks and 10 heartbeats: 14 seconds, not 10 minutes.
            "dfs.heartbeat.interval": "1",
            "dfs.namenode.heartbeat.recheck-interval": "2000",
            # Until then clients are sent to the other one, from 3 missed heartbeats on.
            "dfs.namenode.stale.datanode.interval": "3000",
            "dfs.namenode.avoid.read.stale.datanode": "true",
            "dfs.namenode.avoid.write.stale.datanode": "true",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        },
        ready=partial(probe.namenode, datanodes=DATANODES),
        prepare=("-format", "-nonInteractive"),
    )
    datanodes = (
        Daemon(
            name=f"datanode-{number}",
            main="org.apache.hadoop.hdfs.server.datanode.DataNode",
            ports=("http", "transfer", "ipc"),
            settings={
                "dfs.datanode.data.dir": "{data}",
                "dfs.datanode.hostname": "localhost",
                "dfs.datanode.http.address": "localhost:{http}",
                "dfs.datanode.address": "localhost:{transfer}",
                "dfs.datanode.ipc.address": "localhost:{ipc}",
                "dfs.datanode.handler.count": "2",
                "dfs.heartbeat.interval": "1",
                # It starts beside the NameNode, so it must ask again soon, and for long.
                "ipc.client.connect.retry.interval": "200",
                "ipc.client.connect.max.retries": "600",
            },
            ready=probe.datanode,
        )
        for number in range(1, DATANODES + 1)
    )
    return (namenode, *datanodes)


def sites(ports: Ports, home: Path) -> dict[str, dict[str, str]]:
    """Return the settings that daemons and clients share, by the name of the file that holds them."""
    namenode = ports["namenode"]
    return {
        "core-site.xml": {
            "fs.defaultFS": f"hdfs://localhost:{namenode['rpc']}",
            "hadoop.tmp.dir": str(home / "tmp"),
            "hadoop.http.staticuser.user": getpass.getuser(),
        },
        "hdfs-site.xml": {
            "dfs.namenode.rpc-address": f"localhost:{namenode['rpc']}",
            "dfs.namenode.http-address": f"localhost:{namenode['http']}",
            "dfs.webhdfs.enabled": "true",
            "dfs.permissions.enabled": "false",
            "dfs.replication": str(DATANODES),
            # With so few DataNodes there is none to replace a lost one by; a write goes on with what is left.
            "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
        },
    }
