"""Checks the executors' Python before any row is read, and reports what it lacks for training in one line."""

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
from sparktrain.cluster.executors.slots import ClusterRefused, Slots, executor_cores
from sparktrain.cluster.spark_context import jvm, master
from sparktrain.interfaces.engines import packages_of
from sparktrain.known_messages.java import NO_PROGRAM
from sparktrain.known_messages.known_message import line_with
from sparktrain.known_messages.python import NO_MODULE
from sparktrain.known_messages.spark import PYTHON_VERSION_DIFFERS, PYTHON_WORKER_FAILED

_log = logging.getLogger(__name__)
_pickling = threading.Lock()
_ALIKE = ("tensorflow", "keras")  # the same on all executors, or the workers of a run would compute with different code
_FREE_SECONDS = 15.0  # in which a free executor begins a task
_START_SECONDS = 120.0  # that the first start of Python may take from a slow disk
# Spark's loggers for failed tasks, which print a Java stack trace for each try; the failure is reported in one line
_LOGGERS = ("org.apache.spark.scheduler.TaskSetManager", "org.apache.spark.executor.Executor")
_ADVICE = (
    "set PYSPARK_PYTHON (spark.pyspark.python) to a Python with the driver's version and packages before the "
    "SparkSession is made, or pack the environment (`sparktrain package`, docs/clusters.md)"
)

Facts = Mapping[str, Any]
_seen: set[tuple[str, str, str]] = set()  # (application, executor, engine) that were checked and fit


def check_python(context: SparkContext, slots: Slots, engine: str, check: Callable[[], object] = lambda: None) -> None:
    """Refuse an application whose executors can't train because of their Python.

    On one machine, executors without a configured Python get the driver's. Busy executors are not checked, nor are those that
    have been checked before.

    Args:
        context: the application's context.
        slots: the application's slots.
        engine: training.engine.
        check: called while the executors are waited for; what it raises ends the waiting.

    Raises:
        ClusterRefused: an executor's Python has another version, or lacks what training needs.
    """
    if master(context).startswith("local") and "PYSPARK_PYTHON" not in os.environ and not _configured(context):
        context.pythonExec = sys.executable
    executors = ["driver"] if slots.local else list(executor_cores(context))
    keys = {(context.applicationId, executor, engine) for executor in executors}
    if keys <= _seen:
        return
    needed = (*packages_of(engine), "psutil")  # psutil for the task beside the training process
    try:
        found = _look_everywhere(context, len(executors), needed, check)
    except (PySparkException, Py4JError) as error:
        _refuse_failed(context, str(error))
        return
    why = refusal(found, sparktrain.__version__)
    if why is not None:
        raise ClusterRefused(why)
    if found:
        _seen.update(keys)


def check_packages(
    context: SparkContext, slots: Slots, packages: Sequence[str], what: str, check: Callable[[], object] = lambda: None
) -> None:
    """Refuse an application whose executors lack packages that a job's own code needs. Busy executors are not checked.

    Args:
        packages: the names that the packages are imported by.
        what: the configuration's key that needs them, for the message.
        check: called while the executors are waited for; what it raises ends the waiting.

    Raises:
        ClusterRefused: an executor's Python lacks one.
    """
    if not packages:
        return
    try:
        found = _look_everywhere(context, 1 if slots.local else len(executor_cores(context)), packages, check)
    except (PySparkException, Py4JError) as error:
        _log.warning("the executors' packages could not be checked: %s", str(error).partition("\n")[0])
        return
    why = lacking(found, what)
    if why is not None:
        raise ClusterRefused(why)


def lacking(found: Sequence[Facts], what: str) -> str | None:
    """Return a message if an executor lacks a package.

    Args:
        found: the facts of each executor: host, interpreter, python, missing modules.
        what: the configuration's key that needs the packages.

    Returns:
        The message in one line, with what to do; None if no package is missing.
    """
    for executor in found:
        if executor["missing"]:
            names = ", ".join(executor["missing"])
            return (
                f"{what} needs {names}, and the Python of the executor on {executor['host']}, {executor['interpreter']} "
                f"({executor['python']}), has no such package: install it there (pip install {executor['missing'][0]}), "
                "or leave it out"
            )
    return None


def refusal(found: Sequence[Facts], version: str) -> str | None:
    """Return a message if an executor's Python can't train.

    Args:
        found: the facts of each executor: host, interpreter, python, missing modules, versions by name.
        version: the driver's version of sparktrain.

    Returns:
        The message in one line, with what to set; None if all executors can train.
    """
    for executor in found:
        who = f"the Python of the executor on {executor['host']}, {executor['interpreter']} ({executor['python']})"
        if executor["missing"]:
            return f"{who}, has no {', '.join(executor['missing'])}: {_ADVICE}"
        if executor["versions"].get("sparktrain") != version:
            return f"{who}, has sparktrain {executor['versions'].get('sparktrain')}, and the driver {version}: {_ADVICE}"
    for name in _ALIKE:
        hosts = {executor["versions"].get(name): executor["host"] for executor in found}
        if len(hosts) > 1:
            listed = ", ".join(f"{other} on {host}" for other, host in hosts.items())
            return f"the executors differ in {name}: {listed}. The workers of one run need the same: {_ADVICE}"
    return None


def _configured(context: SparkContext) -> bool:
    return context.getConf().get("spark.pyspark.python", None) is not None


def _refuse_failed(context: SparkContext, text: str) -> None:
    differs = PYTHON_VERSION_DIFFERS.find(text)
    if differs:
        raise ClusterRefused(f"the executors' Python ({context.pythonExec}) does not fit the driver's: {differs[1]}: {_ADVICE}")
    for message in (NO_PROGRAM, PYTHON_WORKER_FAILED, NO_MODULE):
        what = line_with([message], text)
        if what is not None:
            raise ClusterRefused(f"the executors' Python ({context.pythonExec}) can't be used: {what[-300:]}: {_ADVICE}")
    _log.warning("the executors' Python could not be checked: %s", text.strip().partition("\n")[0])


def _look_everywhere(
    context: SparkContext, count: int, needed: Sequence[str], check: Callable[[], object] = lambda: None
) -> list[Facts]:
    """Return the facts of each free executor, from as many tasks as there are executors, which Spark spreads over them."""
    tag, ended = f"sparktrain-python-{secrets.token_hex(4)}", threading.Event()
    outcome: list[list[Facts] | BaseException] = []
    with _pickling:  # the registration is the process's, and runs may begin side by side
        cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors may not have it
        try:
            tasks = context.parallelize(range(count), count).mapPartitions(_facts_function(needed))
            tasks._jrdd  # noqa: B018  # pickles it
        finally:
            cloudpickle.unregister_pickle_by_value(sys.modules[__name__])

    def collect() -> None:
        try:
            context.addJobTag(tag)
            context.setLocalProperty("spark.job.description", "sparktrain: checking the executors' Python")
            outcome.append(tasks.collect())
        except BaseException as error:  # raised below
            outcome.append(error)
        finally:
            ended.set()

    with _quiet(context):
        threading.Thread(target=collect, name="executors-python", daemon=True).start()
        begun = time.monotonic()
        while not ended.wait(0.05):
            try:
                check()
            except BaseException:
                context.cancelJobsWithTag(tag)
                raise
            waited = time.monotonic() - begun
            if waited > _START_SECONDS or (waited > _FREE_SECONDS and not _at_work(context, tag)):
                context.cancelJobsWithTag(tag)
                return []  # the executors are busy, or too slow to be checked
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _at_work(context: SparkContext, tag: str) -> bool:
    """Return whether all tasks of a stage of the tag's jobs are running or done, so that none waits for a free executor."""
    tracker = context._jsc.sc().statusTracker()
    for job in tracker.getJobIdsForTag(tag):
        info = tracker.getJobInfo(job)
        for stage in info.get().stageIds() if info.isDefined() else ():
            stage_info = tracker.getStageInfo(stage)
            if (
                stage_info.isDefined()
                and stage_info.get().numActiveTasks() + stage_info.get().numCompletedTasks() == stage_info.get().numTasks()
            ):
                return True
    return False


def _facts_function(needed: Sequence[str]) -> Callable[[Iterable[int]], Iterable[Facts]]:
    """Return a function, to be pickled by value, that returns the facts of its Python with the standard library alone."""
    names = tuple(needed)

    def facts(numbers: Iterable[int]) -> Iterable[Facts]:
        import importlib
        import importlib.metadata
        import importlib.util
        import platform
        import socket
        import sys

        list(numbers)  # read to the end: Spark doesn't reuse a Python worker that left some of its input
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

    return facts


_quieting = threading.Lock()
_levels: list[dict[str, Any]] = []  # for each thread that is checking, the loggers' levels before its check


@contextmanager
def _quiet(context: SparkContext) -> Iterator[None]:
    """Keep Spark from printing a Java stack trace for each failed try, within a context; several threads may be in it."""
    log4j = jvm(context).org.apache.logging.log4j
    with _quieting:
        _levels.append(_levels[0] if _levels else {name: log4j.LogManager.getLogger(name).getLevel() for name in _LOGGERS})
        for name in _LOGGERS:
            log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)
    try:
        yield
    finally:
        with _quieting:
            before = _levels.pop()
            if not _levels:
                for name, level in before.items():
                    log4j.core.config.Configurator.setLevel(name, level)
