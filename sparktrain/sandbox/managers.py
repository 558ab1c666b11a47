"""Describes Spark's cluster managers as daemons of a sandbox: YARN, and Spark's standalone master with its workers.

Their nodes have simulated GPUs, enough to test that workers use the GPUs that Spark assigned to them, on one node (YARN) and on
several (standalone), and that jobs wait for each other's executors.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sparktrain.sandbox import probe
from sparktrain.sandbox.daemons import Daemon, Ports

# YARN has one node: a second one would unpack every environment again, on the same disk
YARN_MEMORY = 12288  # MiB for all containers
YARN_CORES = 12  # for two executors of 4 cores, as in the documentation's commands, and the application master
YARN_GPUS = 2
NODE_MEMORY = 6144  # MiB of each worker of the standalone master
NODE_CORES = 4
GPUS = (("0",), ("1", "2"))

# TensorFlow's libraries and a JVM reserve far more address space than they use: at YARN's default, 2.1 times the requested
# memory, the check of virtual memory kills a worker that is well within its memory
VIRTUAL_RATIO = 20


def yarn(java_home: Path) -> tuple[Daemon, ...]:
    """Describe YARN's daemons: a ResourceManager, and a NodeManager that enforces the containers' memory limits.

    Args:
        java_home: JAVA_HOME of the containers.
    """
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
        # Containers inherit this variable from the NodeManager
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
            # By default the checks are left to cgroups, which the sandbox doesn't have, so that nothing would be checked
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
    """Return the use of a disk, in percent, from which on YARN stops using it.

    It is YARN's default of 90 percent, or more if the disk is nearly that full already: a nearly full disk of a laptop is no
    reason to refuse all work, so half of its free space may be used.

    Args:
        total: the size of the disk in bytes.
        free: its free space in bytes.
    """
    return round(max(90.0, 100 - 50 * free / total), 2)


def yarn_sites(ports: Ports, folder: Path) -> dict[str, dict[str, str]]:
    """Return the YARN settings that daemons and clients share, by configuration file.

    Args:
        ports: the ports of all daemons.
        folder: the sandbox's folder, on the disk that the node uses.
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
    """Describe the daemons of a standalone cluster: Spark's master and its workers, with simulated GPUs.

    Args:
        spark_home: Spark's folder.
        discovery_script: the script that reports the GPUs of a worker.
        conf: the folder of Hadoop's configuration.
    """
    core = next(spark_home.glob("jars/spark-core_*.jar")).name
    shared: Mapping[str, str] = {
        "SPARK_HOME": str(spark_home),
        "SPARK_SCALA_VERSION": core.removeprefix("spark-core_").partition("-")[0],  # which Spark's own scripts set
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
