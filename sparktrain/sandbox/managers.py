"""Spark's cluster managers as daemons of a sandbox: YARN, and Spark's own standalone master with its workers.

With pretended GPUs: enough to see workers, on one node (YARN's) and on several (the master's), pinned to what Spark gave them,
and jobs that can't all have their workers at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sparktrain.sandbox import probe
from sparktrain.sandbox.daemons import Daemon, Ports

# Of YARN's one node: a second would unpack every environment once more, on the same disk.
YARN_MEMORY = 12288  # MiB for containers
YARN_CORES = 12  # two executors of 4, as the documentation's commands ask for, and the application's master
YARN_GPUS = 2
NODE_MEMORY = 6144  # of each worker of the standalone master
NODE_CORES = 4
GPUS = (("0",), ("1", "2"))

# TensorFlow's libraries and a JVM reserve far more address space than they ever use: with YARN's own 2.1 times the
# memory asked for, the virtual check ends a worker that is well within its memory.
VIRTUAL_RATIO = 20


def yarn(java_home: Path) -> tuple[Daemon, ...]:
    """Return a ResourceManager and its NodeManager, which holds containers to the memory that they asked for."""
    manager = Daemon(
        name="resourcemanager",
        main="org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
        ports=("rpc", "scheduler", "tracker", "admin", "http"),
        ready=partial(probe.resourcemanager, nodes=1),
        memory=384,
    )
    node = Daemon(
        name="nodemanager",
        main="org.apache.hadoop.yarn.server.nodemanager.NodeManager",
        ports=("rpc", "localizer", "http"),
        ready=probe.nodemanager,
        # Containers find Java by this variable of the NodeManager's.
        environment={"JAVA_HOME": str(java_home)},
        settings={
            "yarn.nodemanager.hostname": "localhost",
            "yarn.nodemanager.address": "localhost:{rpc}",
            "yarn.nodemanager.localizer.address": "localhost:{localizer}",
            "yarn.nodemanager.webapp.address": "localhost:{http}",
            "yarn.nodemanager.local-dirs": "{folder}/local",
            "yarn.nodemanager.log-dirs": "{folder}/logs",
            "yarn.nodemanager.resource.memory-mb": str(YARN_MEMORY),
            "yarn.nodemanager.resource.cpu-vcores": str(YARN_CORES),
            "yarn.nodemanager.pmem-check-enabled": "true",
            # By its default the checks are left to cgroups, which are not there, and nothing is checked at all.
            "yarn.nodemanager.resource.memory.enforced": "false",
            "yarn.nodemanager.vmem-check-enabled": "true",
            "yarn.nodemanager.vmem-pmem-ratio": str(VIRTUAL_RATIO),
            "yarn.nodemanager.container-monitor.interval-ms": "500",
            "yarn.nodemanager.localizer.cache.target-size-mb": "20480",
            "fs.AbstractFileSystem.file.impl": "sparktrain.sandbox.LocalFiles",
        },
        memory=384,
    )
    return manager, node


def disk_limit(total: int, free: int) -> float:
    """Return how full a disk may be before YARN gives it up, in percent: YARN's own 90, and more where it is nearly that.

    A laptop's nearly full disk is no reason to refuse all work, as it would be on a node: half of what is free may be used.
    """
    return round(max(90.0, 100 - 50 * free / total), 2)


def yarn_sites(ports: Ports, folder: Path) -> dict[str, dict[str, str]]:
    """Return YARN's settings that its daemons and clients share, by the name of the file that holds them.

    Args:
        folder: of the sandbox, on the disk that its node uses.
    """
    disk = shutil.disk_usage(folder)
    manager = ports["resourcemanager"]
    queue = "yarn.scheduler.capacity.root"
    return {
        "yarn-site.xml": {
            "yarn.resourcemanager.hostname": "localhost",
            "yarn.resourcemanager.address": f"localhost:{manager['rpc']}",
            "yarn.resourcemanager.scheduler.address": f"localhost:{manager['scheduler']}",
            "yarn.resourcemanager.resource-tracker.address": f"localhost:{manager['tracker']}",
            "yarn.resourcemanager.admin.address": f"localhost:{manager['admin']}",
            "yarn.resourcemanager.webapp.address": f"localhost:{manager['http']}",
            "yarn.scheduler.minimum-allocation-mb": "128",
            "yarn.scheduler.maximum-allocation-mb": str(YARN_MEMORY),
            "yarn.nodemanager.recovery.enabled": "false",
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": str(
                disk_limit(disk.total, disk.free)
            ),
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "200",
        },
        "capacity-scheduler.xml": {
            f"{queue}.queues": "default",
            f"{queue}.default.capacity": "100",
            "yarn.scheduler.capacity.maximum-am-resource-percent": "0.8",
            "yarn.scheduler.capacity.resource-calculator": "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
        },
        "resource-types.xml": {"yarn.resource-types": "yarn.io/gpu"},
        "node-resources.xml": {"yarn.nodemanager.resource-type.yarn.io/gpu": str(YARN_GPUS)},
    }


def standalone(spark_home: Path, discovery_script: Path, conf: Path) -> tuple[Daemon, ...]:
    """Return Spark's own master and its workers, each with the GPUs that a discovery script names."""
    core = next(spark_home.glob("jars/spark-core_*.jar")).name
    shared: Mapping[str, str] = {
        "SPARK_HOME": str(spark_home),
        "SPARK_SCALA_VERSION": core.removeprefix("spark-core_").partition("-")[0],  # as Spark's own scripts set it
        "HADOOP_CONF_DIR": str(conf),
    }
    master = Daemon(
        name="master",
        main="org.apache.spark.deploy.master.Master",
        ports=("rpc", "http"),
        ready=partial(probe.spark_master, workers=len(GPUS)),
        arguments=("--host", "localhost", "--port", "{rpc}", "--webui-port", "{http}"),
        environment=shared,
    )
    workers = (
        Daemon(
            name=f"worker-{number}",
            main="org.apache.spark.deploy.worker.Worker",
            ports=("rpc", "http"),
            ready=probe.spark_worker,
            java_options=(
                f"-Dspark.worker.resource.gpu.amount={len(gpus)}",
                f"-Dspark.worker.resource.gpu.discoveryScript={discovery_script}",
                "-Dspark.worker.cleanup.enabled=true",
            ),
            arguments=(
                "--host",
                "localhost",
                "--port",
                "{rpc}",
                "--webui-port",
                "{http}",
                "--cores",
                str(NODE_CORES),
                "--memory",
                f"{NODE_MEMORY}m",
                "--work-dir",
                "{folder}/work",
                "spark://localhost:{all[master][rpc]}",
            ),
            environment={**shared, "SPARK_LOCAL_DIRS": "{folder}/local", "SANDBOX_GPUS": ", ".join(f'"{gpu}"' for gpu in gpus)},
        )
        for number, gpus in enumerate(GPUS, 1)
    )
    return (master, *workers)
