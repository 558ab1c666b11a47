"""The executors' Python: what it lacks for training is said in one line, before any row is read."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkContext, cloudpickle
from pyspark.errors import PySparkException

import sparktrain
from sparktrain.cluster.slots import ClusterRefused, Slots, executor_cores
from sparktrain.cluster.spark_context import jvm, master
from sparktrain.interfaces.engines import packages_of

_log = logging.getLogger(__name__)
_ALIKE = ("tensorflow", "keras")  # of all executors, or the workers of one run would compute with different code
_FREE_SECONDS = 15.0  # in which an executor that is free begins a task
_START_SECONDS = 120.0  # that a first Python may take from a slow disk
# Spark's own of a failed task, with a stack of Java for each try; the failure is told in one line
_LOGGERS = ("org.apache.spark.scheduler.TaskSetManager", "org.apache.spark.executor.Executor")
_ADVICE = (
    "set PYSPARK_PYTHON (spark.pyspark.python) to a Python with the driver's version and packages before the "
    "SparkSession is made, or pack the environment (`sparktrain package`, docs/clusters.md)"
)

Facts = Mapping[str, Any]
_seen: set[tuple[str, str, str]] = set()  # application, executor and engine that were found to fit


def check_python(context: SparkContext, slots: Slots, engine: str) -> None:
    """Refuse an application whose executors can't train because of their Python.

    On one machine, where nobody has said which Python they are to have, they get the driver's. Executors that are busy are
    passed over, as is one that has been looked at before.

    Args:
        context: the application's.
        slots: what it has.
        engine: training.engine.

    Raises:
        ClusterRefused: an executor's Python has another version, or lacks what training needs.
    """
    if master(context).startswith("local") and "PYSPARK_PYTHON" not in os.environ and not _configured(context):
        context.pythonExec = sys.executable
    executors = ["driver"] if slots.local else list(executor_cores(context))
    keys = {(context.applicationId, each, engine) for each in executors}
    if keys <= _seen:
        return
    needed = ("psutil", *packages_of(engine))  # that for the task beside the training process
    try:
        found = _look_everywhere(context, len(executors), needed)
    except (PySparkException, Py4JError) as error:
        _refuse_failed(context, str(error))
        return
    why = refusal(found, sparktrain.__version__)
    if why is not None:
        raise ClusterRefused(why)
    if found:
        _seen.update(keys)


def check_packages(context: SparkContext, slots: Slots, packages: Sequence[str], what: str) -> None:
    """Refuse an application whose executors lack packages that a job's own code asks for. Executors that are busy are passed over.

    Args:
        packages: by the names that they are imported by.
        what: what asks for them, for the message.

    Raises:
        ClusterRefused: an executor's Python hasn't one.
    """
    if not packages:
        return
    try:
        found = _look_everywhere(context, 1 if slots.local else len(executor_cores(context)), packages)
    except (PySparkException, Py4JError) as error:
        _log.warning("the executors' packages could not be looked at: %s", str(error).partition("\n")[0])
        return
    why = lacking(found, what)
    if why is not None:
        raise ClusterRefused(why)


def lacking(found: Sequence[Facts], what: str) -> str | None:
    """Find an executor without a package that is asked for.

    Args:
        found: what each has: host, interpreter, python, missing modules.
        what: what asks for them.

    Returns:
        The reason in one line, with what to do; None where there is none.
    """
    for each in found:
        if each["missing"]:
            names = ", ".join(each["missing"])
            return (
                f"{what} needs {names}, and the Python of the executor on {each['host']}, {each['interpreter']} ({each['python']}), "
                f"has no such package: install it there (pip install {each['missing'][0]}), or leave it out"
            )
    return None


def refusal(found: Sequence[Facts], version: str) -> str | None:
    """Find what keeps executors from training.

    Args:
        found: what each has: host, interpreter, python, missing modules, versions by name.
        version: the driver's sparktrain.

    Returns:
        The reason in one line, with what to set; None where there is none.
    """
    for each in found:
        who = f"the Python of the executor on {each['host']}, {each['interpreter']} ({each['python']})"
        if each["missing"]:
            return f"{who}, has no {', '.join(each['missing'])}: {_ADVICE}"
        if each["versions"].get("sparktrain") != version:
            return f"{who}, has sparktrain {each['versions'].get('sparktrain')}, and the driver {version}: {_ADVICE}"
    for name in _ALIKE:
        kinds = {each["versions"].get(name): each["host"] for each in found}
        if len(kinds) > 1:
            told = ", ".join(f"{kind} on {host}" for kind, host in kinds.items())
            return f"the executors differ in {name}: {told}. The workers of one run need the same: {_ADVICE}"
    return None


def _configured(context: SparkContext) -> bool:
    return context.getConf().get("spark.pyspark.python", None) is not None


def _refuse_failed(context: SparkContext, text: str) -> None:
    lines = [line.strip() for line in text.splitlines()]
    if "PYTHON_VERSION_MISMATCH" in text:
        what = next(line for line in lines if "PYTHON_VERSION_MISMATCH" in line).partition("] ")[2]
        raise ClusterRefused(
            f"the executors' Python ({context.pythonExec}) does not fit the driver's: {what.split('. ')[0]}: {_ADVICE}"
        )
    for sign in ("Cannot run program", "Error from python worker", "No module named"):
        if sign in text:
            what = next(line for line in lines if sign in line)
            raise ClusterRefused(f"the executors' Python ({context.pythonExec}) can't be used: {what[-300:]}: {_ADVICE}")
    _log.warning("the executors' Python could not be looked at: %s", lines[0] if lines else text)


def _look_everywhere(context: SparkContext, count: int, needed: Sequence[str]) -> list[Facts]:
    """What the executors that are free have: a task on each, as Spark deals out as many as there are."""
    tag, ended = f"sparktrain-python-{secrets.token_hex(4)}", threading.Event()
    outcome: list[list[Facts] | BaseException] = []
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors may not have it
    try:
        tasks = context.parallelize(range(count), count).mapPartitions(_looking(needed))
        tasks._jrdd  # noqa: B018  # pickles it
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])

    def collect() -> None:
        try:
            context.addJobTag(tag)
            context.setLocalProperty("spark.job.description", "sparktrain: looking at the executors' Python")
            outcome.append(tasks.collect())
        except BaseException as error:  # raised below
            outcome.append(error)
        finally:
            ended.set()

    with _quiet(context):
        threading.Thread(target=collect, name="executors-python", daemon=True).start()
        begun = time.monotonic()
        while not ended.wait(0.05):
            waited = time.monotonic() - begun
            if waited > _START_SECONDS or (waited > _FREE_SECONDS and not _at_work(context, tag)):
                context.cancelJobsWithTag(tag)
                return []  # busy with something else, or so slow that only training itself can tell
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _at_work(context: SparkContext, tag: str) -> bool:
    """Whether any task of the tag's jobs runs, or all of them do as none is left to wait."""
    tracker = context._jsc.sc().statusTracker()
    for job in tracker.getJobIdsForTag(tag):
        info = tracker.getJobInfo(job)
        for stage in info.get().stageIds() if info.isDefined() else ():
            told = tracker.getStageInfo(stage)
            if told.isDefined() and told.get().numActiveTasks() + told.get().numCompletedTasks() == told.get().numTasks():
                return True
    return False


def _looking(needed: Sequence[str]) -> Callable[[Iterable[int]], Iterable[Facts]]:
    """A function that says what its Python has. It goes by value, and uses nothing but the standard library."""
    names = tuple(needed)

    def look(numbers: Iterable[int]) -> Iterable[Facts]:
        import importlib
        import importlib.metadata
        import importlib.util
        import platform
        import socket
        import sys

        list(numbers)  # to its end: Spark reuses no Python worker that left some of its input
        missing = [name for name in names if importlib.util.find_spec(name) is None]
        versions = {}
        for name in ("tensorflow", "tensorflow-cpu", "keras", "pyarrow"):
            try:
                versions[name.partition("-")[0]] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        if "sparktrain" not in missing:
            versions["sparktrain"] = importlib.import_module("sparktrain").__version__
        return [
            {
                "host": socket.gethostname(),
                "interpreter": sys.executable,
                "python": platform.python_version(),
                "missing": missing,
                "versions": versions,
            }
        ]

    return look


@contextmanager
def _quiet(context: SparkContext) -> Iterator[None]:
    """Keep Spark from printing a stack of Java for each failed try."""
    log4j = jvm(context).org.apache.logging.log4j
    before = {name: log4j.LogManager.getLogger(name).getLevel() for name in _LOGGERS}
    try:
        for name in _LOGGERS:
            log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)
        yield
    finally:
        for name, level in before.items():
            log4j.core.config.Configurator.setLevel(name, level)
