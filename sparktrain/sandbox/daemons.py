"""Describes the daemons that a sandbox runs, each as a value: its command, its settings, and when it is ready.

HDFS's daemons are here, those of Spark's cluster managers in managers.py.
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
"""The port numbers of each daemon, by the daemon's name and by the port's role, such as `http`."""


@dataclass(frozen=True)
class Daemon:
    """A Java process of the sandbox: its command, its settings, and how to see whether it serves.

    In `settings`, `arguments`, `java_options` and `environment`, `{role}` stands for the number of the daemon's own port of
    that role, `{all[daemon][role]}` for another daemon's, `{data}` for the URI of the daemon's data folder and `{folder}` for
    its path.

    Attributes:
        name: the name that `status` shows and `kill` takes.
        main: its Java main class.
        ports: the roles of its ports; `http` is the one that a user can open in a browser.
        ready: takes the daemon's web address, and returns None if it serves, else what it lacks.
        settings: Hadoop settings of this daemon only, which its main class takes as `-D key=value`.
        arguments: further arguments of its main class.
        java_options: options of Java itself.
        environment: variables beside the sandbox's own.
        prepare: arguments with which the main class makes the data folder, once; None if the daemon does so by itself.
        memory: the limit of its Java heap in MiB.
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
        """Return the command line that runs the daemon, or prepares its data folder.

        Args:
            java: the path of Java's program.
            class_path: the entries of the class path.
            options: options of Java that all daemons have.
            ports: the ports of all daemons.
            data: the daemon's data folder.
            arguments: the arguments that prepare the data folder; None to run the daemon.
        """
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
        """Return the environment variables of the daemon with their placeholders filled in."""
        return {name: self._filled(value, ports, data) for name, value in self.environment.items()}

    def _filled(self, text: str, ports: Ports, data: Path) -> str:
        return text.format(**ports[self.name], all=ports, data=data.as_uri(), folder=data)


def hdfs() -> tuple[Daemon, ...]:
    """Describe HDFS's daemons: a NameNode and its DataNodes."""
    namenode = Daemon(
        name="namenode",
        main="org.apache.hadoop.hdfs.server.namenode.NameNode",
        ports=("rpc", "http"),
        settings={
            "dfs.namenode.name.dir": "{data}",
            "dfs.namenode.safemode.extension": "0",
            "dfs.namenode.handler.count": "4",
            # A killed DataNode counts as dead after 2 rechecks and 10 heartbeats: 14 seconds instead of 10 minutes
            "dfs.heartbeat.interval": "1",
            "dfs.namenode.heartbeat.recheck-interval": "2000",
            # Until then, after 3 missed heartbeats, clients are sent to the other DataNode
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
                # It starts together with the NameNode, so it must retry soon, and for a long time
                "ipc.client.connect.retry.interval": "200",
                "ipc.client.connect.max.retries": "600",
            },
            ready=probe.datanode,
        )
        for number in range(1, DATANODES + 1)
    )
    return (namenode, *datanodes)


def sites(ports: Ports, home: Path) -> dict[str, dict[str, str]]:
    """Return the Hadoop settings that daemons and clients share, by configuration file.

    Args:
        ports: the ports of all daemons.
        home: the sandbox's folder.
    """
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
            # With so few DataNodes there is none to replace a lost one, so a write continues with the others
            "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
        },
    }
