"""Judge the facts: plain functions, each of which returns one finding.

A number has a verdict only where there is a limit that nobody would dispute; speeds are reported, not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from sparktrain.cluster.local_disks import Spare
from sparktrain.cluster.memory import OVERHEAD, overhead_given
from sparktrain.cluster.slots import Slots
from sparktrain.display.figures import counted
from sparktrain.doctor.finding import Finding, Verdict
from sparktrain.interfaces.engines import packages_of

Facts = Mapping[str, Any]
_TENSORFLOW = ("tensorflow", "tensorflow-cpu")  # one package under two names
_EXACT = 1e-5  # relative: float32 has 7 digits, and the tensors are sums of few whole numbers


def versions(driver: Facts, executors: Sequence[Facts], engine: str) -> Finding:
    """Judge whether every executor has the packages that training needs, in the same versions.

    Args:
        driver: version by package.
        executors: `look` of each.
        engine: training.engine.
    """
    check = "versions on the executors"
    kinds: dict[tuple, list[str]] = defaultdict(list)  # names of executors by what they have
    for each in executors:
        kinds[tuple(sorted(_merged(each["versions"]).items()))].append(each["executor"])
    found = "\n".join(
        f"{len(names)} executor(s), {names[0]}{' …' if len(names) > 1 else ''}: {_told(dict(kind))}"
        for kind, names in kinds.items()
    )
    needed = packages_of(engine)
    lacking = {name: where for name in needed if (where := [at for kind, at in kinds.items() if name not in dict(kind)])}
    if lacking:
        what = ", ".join(f"{name} on {where[0][0]}" for name, where in lacking.items())
        return Finding(
            check,
            found,
            "bad",
            f"not installed: {what}. Install it in the executors' Python, or point "
            "PYSPARK_PYTHON (spark.pyspark.python) at one that has it, or `sparktrain package` the environment",
        )
    apart = sorted({name for kind in kinds for name, _ in set(kind) ^ set(next(iter(kinds)))})
    if apart:
        return Finding(
            check,
            found,
            "bad",
            f"executors differ in {', '.join(apart)}: workers of one run would compute "
            "with different code. Give all of them the same environment (`sparktrain package`)",
        )
    here, there = _merged(driver), dict(next(iter(kinds)))
    apart = sorted(name for name in here.keys() & there.keys() if here[name] != there[name])
    if not apart:
        return Finding(check, found)
    told = ", ".join(f"{name} ({here[name]} and {there[name]})" for name in apart)
    # These two speak with themselves across the network.
    verdict: Verdict = "bad" if {"sparktrain", "pyspark"} & set(apart) else "warning"
    return Finding(check, found, verdict, f"driver and executors differ in {told}: give both the same versions")


def executors(
    slots: Slots, listed: Sequence[Facts], looked: Sequence[Facts], settings: Mapping[str, str], workers: int
) -> Finding:
    """Judge whether the executors hold the workers, at one worker per executor.

    Args:
        slots: what the application has.
        listed: executors as Spark lists them: cores, each.
        looked: `look` of each.
        workers: number of workers asked for.
    """
    check = "executors"
    if slots.local:
        found = f"local mode, one process: {slots.most} task slot(s) stand for executors"
        advice = f"{workers} workers are asked for: submit with --master local[{workers}], or to a cluster"
        return Finding(check, found, "bad", advice) if slots.most < workers else Finding(check, found)
    cores = sorted({each["cores"] for each in listed})
    heap, asked = settings.get("spark.executor.memory", "1g"), int(settings.get("spark.executor.instances", "0"))
    memory = min((each["node_memory"] for each in looked), default=0)
    nodes = len({each["host"] for each in looked})
    found = (
        f"{len(listed)} up on {nodes} host(s), of {' or '.join(map(str, cores)) or 'no'} core(s) and a heap of {heap}; "
        f"a host has at least {memory / 2**30:,.1f} GiB. One worker an executor: at most {len(listed)} workers"
    )
    if len(listed) < workers:
        return Finding(
            check,
            found,
            "bad",
            f"{workers} workers are asked for: submit with --num-executors {workers}, or "
            f"free the cluster, or take training.workers: {max(1, len(listed))}",
        )
    if len(cores) > 1:
        return Finding(
            check,
            found,
            "warning",
            "all workers step together, so those with fewer cores hold up the others: "
            "submit with --executor-cores, the same for all",
        )
    if len(listed) < asked:
        return Finding(
            check,
            found,
            "warning",
            f"{asked} were asked for (--num-executors): the cluster has no room for more "
            "now, or nodes refuse them; its cluster manager's pages say why",
        )
    return Finding(check, found)


def memory(settings: Mapping[str, str], master: str, resident: int | None) -> Finding:
    """Judge the memory beside the heap, where the cluster manager limits it.

    Args:
        resident: bytes that a training process without a model takes; None if not known.
    """
    check, size = "memory beside the heap", None if resident is None else resident / 2**20
    took = "" if size is None else f"a worker without a model took {size:,.0f} MiB"
    if master != "yarn" and not master.startswith("k8s:"):
        return Finding(check, f"{master.partition(':')[0].partition('[')[0]} does not count it; {took}".rstrip("; "))
    given = overhead_given(settings)
    found = f"{given:,} MiB a container ({OVERHEAD}) for Java's own needs, Spark's Python and the worker; {took}".rstrip("; ")
    if size is None or size <= given:
        return Finding(check, found)
    return Finding(
        check,
        found,
        "warning",
        "the cluster manager may end executors for it: set cluster.worker_memory in the "
        f"job (spark-submit.sh then asks for it), or submit with --conf {OVERHEAD}=…; the model, its optimizer "
        "and its batches come on top",
    )


def gpus(looked: Sequence[Facts], seen: Sequence[Facts]) -> Finding:
    """Judge whether every worker has GPUs of its own, which TensorFlow sees.

    Args:
        looked: `look` of each executor.
        seen: `see_gpus` of each that has any.
    """
    check = "GPUs"
    if not any(each["gpus"] for each in looked):
        devices = max((each["nvidia_devices"] for each in looked), default=0)
        if not devices:
            return Finding(check, "Spark gives the executors none, and their hosts show none")
        return Finding(
            check,
            f"Spark gives the executors none; a host has {devices} NVIDIA device(s)",
            "warning",
            "workers train on the CPU: submit with --conf spark.executor.resource.gpu.amount=1 --conf "
            "spark.executor.resource.gpu.discoveryScript=conf/discover-gpus.sh",
        )
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in looked:
        for address in each["gpus"]:
            owners[each["host"], address].append(each["executor"])
    found = "\n".join(
        f"{each['executor']}: GPU {', '.join(each['gpus']) or 'none'}; TensorFlow sees "
        f"{'it fail' if each['seen'] is None else len(each['seen'])}"
        for each in seen
    )
    twice = [f"GPU {address} of {host}" for (host, address), names in owners.items() if len(names) > 1]
    if twice:
        return Finding(
            check,
            found,
            "bad",
            f"several executors have {', '.join(twice)}: the discovery script names the same "
            "ones to each. Take conf/discover-gpus.sh (spark.executor.resource.gpu.discoveryScript), or have the "
            "cluster manager isolate GPUs",
        )
    blind = [each for each in seen if each["seen"] is None or len(each["seen"]) < len(each["gpus"])]
    if blind:
        first = blind[0]
        why = {
            False: "its TensorFlow is built without CUDA: install one with it there (pip install 'tensorflow[and-cuda]')",
            True: "it is built with CUDA, so see that nvidia-smi works there, with a driver that fits",
            None: "it failed",
        }[first["cuda_build"]]
        said = f". It said:\n{first['said']}" if first["said"] else ""
        return Finding(check, found, "bad", f"on {first['executor']} TensorFlow does not see what Spark has given; {why}{said}")
    return Finding(check, found)


def storage(where: str, tried: Sequence[Facts], url: str) -> Finding:
    """Judge whether what a run does on the storage works.

    Args:
        where: driver, or executors.
        tried: `try_storage` from there, with `executor` on executors.
    """
    check = f"storage from the {where}"
    failed = [each for each in tried if each["failed"] is not None]
    if failed:
        first = failed[0]
        count = f"{len(failed)} of {len(tried)} can't, {first['executor']}: " if "executor" in first else ""
        return Finding(
            check,
            f"{url}\n{count}{first['failed']} failed: {first['reason']}",
            "bad",
            "name a folder with --output that this user may write to, on a storage that every node reaches",
        )
    apart = [each["executor"] for each in tried if not each.get("sees_the_drivers_file", True)]
    if apart:
        found = f"{url}\n{len(apart)} of {len(tried)}, {apart[0]} first, do not see a file of the driver's"
        return Finding(
            check,
            found,
            "bad",
            "each node has a folder of its own there: use HDFS, an object store or a mount that all nodes share",
        )
    slowest = {step: max(each["milliseconds"][step] for each in tried) for step in tried[0]["milliseconds"]}
    many = f"slowest of {len(tried)}: " if len(tried) > 1 else ""
    return Finding(check, f"{url}\n{many}" + ", ".join(f"{step} {took:,.0f} ms" for step, took in slowest.items()))


def averaging(engine: str, megabytes: int, measured: Sequence[Facts]) -> Finding:
    """Report how fast the workers average, and judge whether the result is right.

    Args:
        megabytes: size of the large tensor.
        measured: `measure` of each worker.
    """
    check, size = f"averaging, {engine}", len(measured)
    if size == 1:
        return Finding(check, "one worker came up; it has nobody to average with")
    wrong = [each["error"] for each in measured if not each["error"] <= _EXACT]  # NaN is wrong, too
    # An average lasts until the last has it.
    large, small = (max(median(each[name]) for each in measured) for name in ("large", "small"))
    found = (
        f"{size} workers on {len({each['host'] for each in measured})} host(s): {megabytes} MB in {1000 * large:,.0f} ms "
        f"({megabytes / large:,.0f} MB/s), one number in {1000 * small:,.1f} ms"
    )
    if wrong:
        return Finding(
            check,
            f"{found}; the means are wrong by {wrong[0]:.1g} of their value",
            "bad",
            f"the workers' sums can't be trusted: install {engine} anew, built for this TensorFlow",
        )
    return Finding(check, f"{found}; the means are right")


def feeding(measured: Facts) -> Finding:
    """Report how fast rows get to the workers."""
    return Finding(
        "feed",
        f"{measured['megabytes']:,.0f} MB to {counted(len(measured['rows']), 'worker')}: filling "
        f"{measured['filling']:,.0f} MB/s in all; shuffled batches from disk {min(measured['reading']):,.0f} MB/s "
        "a worker at least",
    )


def disks(looked: Sequence[Facts], spare: Spare) -> Finding:
    """Judge whether there is space for segments. How much they need depends on the job's rows: a run checks that itself.

    Args:
        looked: `look` of each executor.
        spare: how much of each disk segments leave free.
    """
    check, advice = "local disks", "give Spark other local dirs (spark.local.dir, or YARN's local-dirs), or make room there"
    broken = [
        f"{each['executor']}: {disk['path']}: {disk.get('failed', 'not writable')}"
        for each in looked
        for disk in each["disks"]
        if "failed" in disk or not disk["writable"]
    ]
    if broken:
        return Finding(check, "\n".join(broken), "bad", advice)
    rooms = {}
    for each in looked:
        of_executor = {disk["device"]: disk for disk in each["disks"]}.values()  # as a task takes them
        rooms[each["executor"]] = sum(max(0, disk["free"] - spare.of(disk["total"])) for disk in of_executor), of_executor
    name, (room, least) = min(rooms.items(), key=lambda item: item[1][0])
    told = ", ".join(f"{disk['path']} ({disk['free'] / 1e9:,.1f} GB of {disk['total'] / 1e9:,.1f} free)" for disk in least)
    found = f"room for at least {room / 1e9:,.1f} GB of segments, on {name}: {told}"
    if not room:
        return Finding(check, found, "bad", f"part of each disk is left free (cluster.spare_disk): {advice}")
    return Finding(check, found)


def settings(given: Mapping[str, str], refused: str | None) -> Finding:
    """Judge whether the application's settings allow training.

    Args:
        refused: the message with which a run would refuse them; None if it accepts them.
    """
    found = ", ".join(f"{name.removeprefix('spark.')} {value}" for name, value in given.items()) or "nothing but defaults"
    return Finding("settings", found, "bad" if refused else "ok", refused or "")


def _merged(found: Mapping[str, str]) -> dict[str, str]:
    return {"tensorflow" if name in _TENSORFLOW else name: version for name, version in found.items()}


def _told(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())
