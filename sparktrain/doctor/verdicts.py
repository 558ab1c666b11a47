"""Judges the facts that the probes collect, by plain functions that return one finding each.

A number gets a verdict only where nobody would dispute the limit: speeds are reported, but not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from sparktrain.cluster.disks.local_disks import Spare
from sparktrain.cluster.executors.memory import OVERHEAD, overhead_given
from sparktrain.cluster.executors.slots import Slots
from sparktrain.display.figures import counted
from sparktrain.doctor.finding import Finding, Verdict
from sparktrain.interfaces.engines import packages_of

Facts = Mapping[str, Any]
_TENSORFLOW = ("tensorflow", "tensorflow-cpu")  # one package under two names
_EXACT = 1e-5  # relative: float32 has 7 digits, and the tensors are sums of few whole numbers
STORAGE_ADVICE = "use --output to name a folder that this user may write to, on a storage that every node can reach"


def versions(driver: Facts, executors: Sequence[Facts], engine: str) -> Finding:
    """Judge whether every executor has the packages that training needs, in the same versions.

    Args:
        driver: the driver's version of each package.
        executors: `describe_executor` of each executor.
        engine: training.engine.
    """
    check = "versions on the executors"
    groups: dict[tuple, list[str]] = defaultdict(list)  # names of executors by the versions that they have
    for executor in executors:
        groups[tuple(sorted(_merged(executor["versions"]).items()))].append(executor["executor"])
    found = "\n".join(
        f"{len(names)} executor(s), {names[0]}{' …' if len(names) > 1 else ''}: {_listed(dict(group))}"
        for group, names in groups.items()
    )
    needed = packages_of(engine)
    missing = {name: where for name in needed if (where := [names for group, names in groups.items() if name not in dict(group)])}
    if missing:
        packages = ", ".join(f"{name} on {where[0][0]}" for name, where in missing.items())
        return Finding(
            check,
            found,
            "bad",
            f"not installed: {packages}. Install them in the executors' Python, point PYSPARK_PYTHON "
            "(spark.pyspark.python) at a Python that has them, or pack the environment with `sparktrain package`",
        )
    different = sorted({name for group in groups for name, _ in set(group) ^ set(next(iter(groups)))})
    if different:
        return Finding(
            check,
            found,
            "bad",
            f"the executors have different versions of {', '.join(different)}, so the workers of one run would compute with "
            "different code. Give all executors the same environment (`sparktrain package`)",
        )
    here, there = _merged(driver), dict(next(iter(groups)))
    different = sorted(name for name in here.keys() & there.keys() if here[name] != there[name])
    if not different:
        return Finding(check, found)
    pairs = ", ".join(f"{name} ({here[name]} and {there[name]})" for name in different)
    # With these two the driver and the executors exchange messages, whose form depends on the version
    verdict: Verdict = "bad" if {"sparktrain", "pyspark"} & set(different) else "warning"
    advice = f"the driver and the executors have different versions of {pairs}: install the same versions on both"
    return Finding(check, found, verdict, advice)


def executors(
    slots: Slots, listed: Sequence[Facts], described: Sequence[Facts], settings: Mapping[str, str], workers: int
) -> Finding:
    """Judge whether there is room for the workers, with one worker on each executor.

    Args:
        slots: the application's slots.
        listed: the executors that Spark lists, each with its `cores`.
        described: `describe_executor` of each executor.
        settings: the application's settings.
        workers: the number of workers that were requested.
    """
    check = "executors"
    if slots.local:
        found = f"local mode, one process: its {slots.most} task slot(s) count as executors"
        advice = f"{workers} workers were requested: submit with --master local[{workers}], or to a cluster"
        return Finding(check, found, "bad", advice) if slots.most < workers else Finding(check, found)
    cores = sorted({executor["cores"] for executor in listed})
    heap, requested = settings.get("spark.executor.memory", "1g"), int(settings.get("spark.executor.instances", "0"))
    memory = min((executor["node_memory"] for executor in described), default=0)
    nodes = len({executor["host"] for executor in described})
    found = (
        f"{len(listed)} on {nodes} host(s), each with {' or '.join(map(str, cores)) or 'no'} core(s) and a heap of {heap}; the "
        f"smallest host has {memory / 2**30:,.1f} GiB of memory. One worker runs on each executor: at most {len(listed)} workers"
    )
    if len(listed) < workers:
        return Finding(
            check,
            found,
            "bad",
            f"{workers} workers were requested: submit with --num-executors {workers}, free executors on the cluster, or set "
            f"training.workers to {max(1, len(listed))}",
        )
    if len(cores) > 1:
        return Finding(
            check,
            found,
            "warning",
            "workers wait for each other in every step, so those with fewer cores slow down all: submit with --executor-cores, "
            "which gives all executors the same number",
        )
    if len(listed) < requested:
        return Finding(
            check,
            found,
            "warning",
            f"{requested} were requested (--num-executors): the cluster has no room for more now, or its nodes refuse them; the "
            "cluster manager's web pages show the reason",
        )
    return Finding(check, found)


def memory(settings: Mapping[str, str], master: str, resident: int | None) -> Finding:
    """Judge whether containers have enough memory beside the JVM's heap, where the cluster manager limits it.

    Args:
        settings: the application's settings.
        master: its master, such as `yarn`.
        resident: bytes that a training process without a model uses; None if not known.
    """
    check, size = "memory beside the heap", None if resident is None else resident / 2**20
    used = "" if size is None else f"a worker without a model used {size:,.0f} MiB"
    if master != "yarn" and not master.startswith("k8s:"):
        return Finding(check, f"{master.partition(':')[0].partition('[')[0]} does not limit it; {used}".rstrip("; "))
    given = overhead_given(settings)
    found = f"each container has {given:,} MiB ({OVERHEAD}) for the JVM, Spark's Python and the worker; {used}".rstrip("; ")
    if size is None or size <= given:
        return Finding(check, found)
    return Finding(
        check,
        found,
        "warning",
        "the cluster manager may kill executors that use more: set cluster.worker_memory in the job, which spark-submit.sh then "
        f"requests, or submit with --conf {OVERHEAD}=…; the model, its optimizer and its batches need memory in addition",
    )


def gpus(described: Sequence[Facts], visible: Sequence[Facts]) -> Finding:
    """Judge whether every worker has GPUs of its own, and whether TensorFlow sees them.

    Args:
        described: `describe_executor` of each executor.
        visible: `visible_gpus` of each executor; empty if none has a GPU.
    """
    check = "GPUs"
    if not any(executor["gpus"] for executor in described):
        devices = max((executor["nvidia_devices"] for executor in described), default=0)
        if not devices:
            return Finding(check, "Spark assigns no GPUs to the executors, and none were found on their hosts")
        return Finding(
            check,
            f"Spark assigns no GPUs to the executors; a host has {devices} NVIDIA device(s)",
            "warning",
            "workers train on the CPU: to use the GPUs, submit with --conf spark.executor.resource.gpu.amount=1 --conf "
            "spark.executor.resource.gpu.discoveryScript=conf/discover-gpus.sh",
        )
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for executor in described:
        for address in executor["gpus"]:
            owners[executor["host"], address].append(executor["executor"])
    found = "\n".join(
        f"{executor['executor']}: GPU {', '.join(executor['gpus']) or 'none'}; TensorFlow "
        f"{'failed' if executor['seen'] is None else 'sees ' + counted(len(executor['seen']), 'GPU')}"
        for executor in visible
    )
    shared = [f"GPU {address} of {host}" for (host, address), names in owners.items() if len(names) > 1]
    if shared:
        return Finding(
            check,
            found,
            "bad",
            f"several executors have {', '.join(shared)}: the discovery script gives all of them the same GPUs. Use "
            "conf/discover-gpus.sh (spark.executor.resource.gpu.discoveryScript), or let the cluster manager isolate GPUs",
        )
    blind = [executor for executor in visible if executor["seen"] is None or len(executor["seen"]) < len(executor["gpus"])]
    if blind:
        first = blind[0]
        why = {
            False: "it is built without CUDA: install a build with CUDA there (pip install 'tensorflow[and-cuda]')",
            True: "it is built with CUDA, so check there that nvidia-smi works and that the driver's version fits",
            None: "it failed",
        }[first["cuda_build"]]
        output = f". Its last lines:\n{first['said']}" if first["said"] else ""
        advice = f"on {first['executor']} TensorFlow does not see the GPUs that Spark assigned; {why}{output}"
        return Finding(check, found, "bad", advice)
    return Finding(check, found)


def storage(where: str, trials: Sequence[Facts], url: str) -> Finding:
    """Judge whether the storage can do what a run needs.

    Args:
        where: `driver` or `executors`.
        trials: `try_storage` of the driver, or `try_executor_storage` of each executor.
        url: the folder that was tried.
    """
    check = f"storage from the {where}"
    failed = [trial for trial in trials if trial["failed"] is not None]
    if failed:
        first = failed[0]
        which = f"on {len(failed)} of {len(trials)} executors, first on {first['executor']}: " if "executor" in first else ""
        return Finding(check, f"{url}\n{which}{first['failed']} failed: {first['reason']}", "bad", STORAGE_ADVICE)
    blind = [trial["executor"] for trial in trials if not trial.get("sees_the_drivers_file", True)]
    if blind:
        return Finding(
            check,
            f"{url}\n{len(blind)} of {len(trials)} executors, first {blind[0]}, do not see a file that the driver wrote",
            "bad",
            "each node has a folder of its own at this path: use HDFS, an object store or a mount that all nodes share",
        )
    slowest = {step: max(trial["milliseconds"][step] for trial in trials) for step in trials[0]["milliseconds"]}
    many = f"slowest of {len(trials)}: " if len(trials) > 1 else ""
    return Finding(check, f"{url}\n{many}" + ", ".join(f"{step} {took:,.0f} ms" for step, took in slowest.items()))


def averaging(engine: str, megabytes: int, measured: Sequence[Facts]) -> Finding:
    """Report how fast the workers average, and judge whether their means are right.

    Args:
        engine: training.engine.
        megabytes: size of the large tensor in MB.
        measured: `averaging_probe.measure` of each worker.
    """
    check, size = f"averaging, {engine}", len(measured)
    if size == 1:
        return Finding(check, "only one worker ran, so there was nothing to average")
    wrong = [worker["error"] for worker in measured if not worker["error"] <= _EXACT]  # NaN is wrong, too
    # An average takes as long as its slowest worker
    large, small = (max(median(worker[name]) for worker in measured) for name in ("large", "small"))
    found = (
        f"{size} workers on {len({worker['host'] for worker in measured})} host(s): {megabytes} MB in {1000 * large:,.0f} ms "
        f"({megabytes / large:,.0f} MB/s), one number in {1000 * small:,.1f} ms"
    )
    if wrong:
        return Finding(
            check,
            f"{found}; the means are wrong by {wrong[0]:.1g} of their value",
            "bad",
            f"the workers' averages can't be trusted: reinstall {engine}, built for this version of TensorFlow",
        )
    return Finding(check, f"{found}; the means are right")


def feeding(measured: Facts) -> Finding:
    """Report how fast rows get to the workers.

    Args:
        measured: what `feed_probe.measure` returned.
    """
    return Finding(
        "feed",
        f"{measured['megabytes']:,.0f} MB to {counted(len(measured['rows']), 'worker')}: written to segments at "
        f"{measured['filling']:,.0f} MB/s in all, read as shuffled batches at {min(measured['reading']):,.0f} MB/s or more "
        "by each worker",
    )


def disks(described: Sequence[Facts], spare: Spare) -> Finding:
    """Judge whether every executor's local disks have any space for segments.

    How much segments need depends on the job's rows: a run checks that itself.

    Args:
        described: `describe_executor` of each executor.
        spare: how much of each disk segments leave free.
    """
    check, advice = "local disks", "give Spark other local dirs (spark.local.dir, or YARN's local-dirs), or free up space there"
    broken = [
        f"{executor['executor']}: {disk['path']}: {disk.get('failed', 'not writable')}"
        for executor in described
        for disk in executor["disks"]
        if "failed" in disk or not disk["writable"]
    ]
    if broken:
        return Finding(check, "\n".join(broken), "bad", advice)
    rooms = {}
    for executor in described:
        by_device = {disk["device"]: disk for disk in executor["disks"]}.values()  # a task counts a disk once, too
        rooms[executor["executor"]] = sum(max(0, disk["free"] - spare.of(disk["total"])) for disk in by_device), by_device
    name, (room, smallest) = min(rooms.items(), key=lambda item: item[1][0])
    free = ", ".join(f"{disk['path']} ({disk['free'] / 1e9:,.1f} of {disk['total'] / 1e9:,.1f} GB free)" for disk in smallest)
    found = f"room for at least {room / 1e9:,.1f} GB of segments; the least is on {name}: {free}"
    if not room:
        return Finding(check, found, "bad", f"a part of each disk must stay free (cluster.spare_disk): {advice}")
    return Finding(check, found)


def settings(given: Mapping[str, str], refused: str | None) -> Finding:
    """Judge whether the application's settings allow training.

    Args:
        given: those of the settings that matter, where they are set.
        refused: the message with which a run would refuse them; None if it accepts them.
    """
    found = ", ".join(f"{name.removeprefix('spark.')} {value}" for name, value in given.items()) or "all settings are defaults"
    return Finding("settings", found, "bad" if refused else "ok", refused or "")


def _merged(versions: Mapping[str, str]) -> dict[str, str]:
    """Return versions by package, with both names of TensorFlow's package as one."""
    return {"tensorflow" if name in _TENSORFLOW else name: version for name, version in versions.items()}


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
