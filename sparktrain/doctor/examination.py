"""Runs the checks that need a cluster, one after the other, each with a time limit; a failed check doesn't stop the others."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

from sparktrain.cluster.disks.local_disks import spare_of
from sparktrain.cluster.executors.application_executors import ApplicationExecutors
from sparktrain.cluster.executors.gathering import gather
from sparktrain.cluster.executors.gathering_policy import Bounds
from sparktrain.cluster.executors.pool import pool_of
from sparktrain.cluster.executors.slots import ClusterRefused, NoSlots, Slots, check_application, count_slots, listed_executors
from sparktrain.cluster.spark_context import jvm, master
from sparktrain.config import ConfigError
from sparktrain.doctor import averaging_probe, executor_probe, feed_probe, verdicts
from sparktrain.doctor.finding import Finding
from sparktrain.doctor.local_checks import remove_test_folder, try_driver_storage
from sparktrain.driver.api import run_function
from sparktrain.driver.artifacts.lineage import versions
from sparktrain.driver.failure_report import failed
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.interfaces.launch import EngineRefused
from sparktrain.storage import StorageError, open_folder

Value = TypeVar("Value")
_GRACE = 30.0  # seconds that a cancelled check has to end
_MEGABYTES = 64  # size of the tensor that is averaged
_SETTINGS = (
    "spark.executor.instances",
    "spark.executor.cores",
    "spark.executor.memory",
    "spark.executor.memoryOverhead",
    "spark.executor.memoryOverheadFactor",
    "spark.executor.pyspark.memory",
    "spark.task.cpus",
    "spark.dynamicAllocation.enabled",
    "spark.executor.resource.gpu.amount",
    "spark.task.resource.gpu.amount",
    "spark.executor.resource.gpu.discoveryScript",
    "spark.local.dir",
    "spark.submit.deployMode",
    "spark.sparktrain.packages",
    "spark.pyspark.python",
)
_ENVIRONMENT = (
    "the executors need the same Python version and packages as the driver, at the same path (PYSPARK_PYTHON) or packed "
    "(`sparktrain package`, spark.sparktrain.packages); see an executor's stderr for details"
)
_ADVICE = {
    "Spark": "see Spark's own log lines above",
    "settings": "see Spark's own log lines above",
    "executors": _ENVIRONMENT,
    "GPUs": "run nvidia-smi on that host, and check that TensorFlow can be imported there",
    "storage": verdicts.STORAGE_ADVICE,
    "averaging": "if the workers did not connect to each other: executors must be able to reach each other and the driver on any "
    "port (the driver's port can be fixed with cluster.driver_port). If an executor was killed because of its memory: give it "
    "more with --conf spark.executor.memoryOverhead=2g. If a module is missing: " + _ENVIRONMENT,
    "feed": "rows travel between executors through Spark's shuffle: executors must be able to reach each other, and their "
    "local dirs need free space",
}
_VERSIONS = "versions on the executors"
# Skipped if the executors can't be used or have different versions: these checks could only fail again, slowly
_NEED_EXECUTORS = frozenset({_VERSIONS, "GPUs", "local disks", "storage from the executors", "feed"})


class CheckTimedOut(RuntimeError):
    """Raised where a check has not finished within its time limit."""


class Examination:
    """The checks of a Spark application's cluster, with their findings.

    Args:
        output: a folder on the storage; one in /tmp of the default file system if left out.
        workers: number of workers that average.
        engine: a value of training.engine.
        wait: seconds to wait for the executors.
        megabytes: size of the rows that the feed is measured with, in MB.
        show: called with a message for the user before each check.

    Attributes:
        findings: the findings so far, one a check.
        facts: what the findings are based on, as values for JSON.
    """

    def __init__(
        self,
        spark: SparkSession,
        output: str | None,
        workers: int,
        engine: str,
        wait: float = 120,
        megabytes: int = 100,
        show: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {"asked": {"workers": workers, "engine": engine, "output": output}}
        self._spark, self._context, self._show = spark, spark.sparkContext, show
        self._workers, self._engine, self._wait, self._megabytes = workers, engine, wait, megabytes
        self._output = output or f"/tmp/sparktrain-{self._context.sparkUser()}/doctor"
        self._settings = dict(self._context.getConf().getAll())
        self._unusable = ""  # the name of the check which found that the executors can't be used
        self._slots: Slots | None = None
        self._executor_facts: list[dict[str, Any]] = []  # `describe_executor` of each
        self._resident: int | None = None  # bytes of a training process

    def run(self) -> list[Finding]:
        """Run all checks, and return their findings."""
        for check, seconds, action in (
            ("Spark", 30, self._driver),
            ("settings", 30, self._application),
            ("executors", self._wait + 90, self._executors),
            (_VERSIONS, 10, lambda: verdicts.versions(versions(), self._executor_facts, self._engine)),
            ("GPUs", executor_probe.CHILD_SECONDS + 30, self._gpus),
            ("local disks", 10, lambda: verdicts.disks(self._executor_facts, spare_of(self._context, None))),
            ("storage from the driver", 90, self._storage_from_driver),
            ("storage from the executors", 90, self._storage_from_executors),
            ("feed", 180, self._feed),
            (f"averaging, {self._engine}", 300, self._average),
            ("memory beside the heap", 10, lambda: verdicts.memory(self._settings, master(self._context), self._resident)),
        ):
            if self._unusable and check in _NEED_EXECUTORS.union({f"averaging, {self._engine}"}):
                self.findings.append(Finding(check, f"skipped: see `{self._unusable}`", "warning"))
                continue
            self._show(f"checking: {check}")
            begun = time.monotonic()
            try:
                finding = run_with_time_limit(self._spark, seconds, action)
            except Exception as error:
                result, details = failed(error, check, None, 0)
                has_advice = isinstance(error, (ClusterRefused, ConfigError, EngineRefused, NoSlots))
                advice = next((text for start, text in _ADVICE.items() if check.startswith(start) and not has_advice), "")
                python = f" (the executors' Python: {self._python})" if check == "executors" else ""
                finding = Finding(check, f"{result.reason}{python}", "bad", advice)
                self.facts.setdefault("failures", {})[check] = details or result.reason
            if finding.verdict == "bad" and check in ("executors", _VERSIONS):
                self._unusable = check
            self.findings.append(finding)
            self.facts.setdefault("seconds", {})[check] = round(time.monotonic() - begun, 1)
        return self.findings

    @property
    def _python(self) -> str:
        """The Python that the executors run according to the settings."""
        configured = self._settings.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON")
        return configured or "python3 on their PATH, as neither spark.pyspark.python nor PYSPARK_PYTHON is set"

    def _driver(self) -> Finding:
        java, context = jvm(self._context), self._context
        self.facts["driver"] = driver = {
            "versions": versions(),
            "java": java.System.getProperty("java.version"),
            "hadoop_client": java.org.apache.hadoop.util.VersionInfo.getVersion(),
            "spark": context.version,
            "master": context.master,
            "application": context.applicationId,
            "host": context.getConf().get("spark.driver.host"),
        }
        self.facts["settings"] = {name: self._settings[name] for name in _SETTINGS if name in self._settings}
        installed = ", ".join(f"{name} {version}" for name, version in driver["versions"].items())
        return Finding(
            "Spark",
            f"master {driver['master']}, driver on {driver['host']}; Java {driver['java']}, Hadoop client "
            f"{driver['hadoop_client']}, {installed}",
        )

    def _application(self) -> Finding:
        try:
            check_application(self._context)
            refused = None
        except ClusterRefused as error:
            refused = str(error)
        return verdicts.settings(self.facts.get("settings", {}), refused)

    def _executors(self) -> Finding:
        requested = int(self._settings.get("spark.executor.instances", "0"))
        pool = pool_of(self._context)
        ticket = pool.enter("doctor")
        try:
            bounds = Bounds(self._workers, max(self._workers, requested))
            slots = gather(pool, ticket, bounds, self._wait, on_waiting=self._show)
        except NoSlots:
            slots = count_slots(self._context)
            if not slots.most:
                raise
        finally:
            pool.leave(ticket, reset=False)
        self._slots = slots
        self.facts["executors"] = listed = self._listed()
        self._executor_facts = self._run_on_executors(executor_probe.describe_executor)
        self.facts["on_executors"] = self._executor_facts
        return verdicts.executors(slots, listed, self._executor_facts, self._settings, self._workers)

    def _listed(self) -> list[dict[str, Any]]:
        """Return the executors that Spark lists, each with its id, address and cores."""
        return [
            {"id": executor.id(), "address": executor.hostPort(), "cores": executor.totalCores()}
            for executor in listed_executors(self._context)
        ]

    def _gpus(self) -> Finding:
        has_gpus = any(executor["gpus"] for executor in self._executor_facts)
        visible = self._run_on_executors(executor_probe.visible_gpus) if has_gpus else []
        self.facts["gpus"] = visible
        return verdicts.gpus(self._executor_facts, visible)

    def _storage_from_driver(self) -> Finding:
        url = qualified(self._spark, self._output)
        trial = try_driver_storage(open_folder(url, hadoop_settings(self._spark)))
        self.facts["storage"] = {"url": url, "driver": trial}
        return verdicts.storage("driver", [trial], url)

    def _storage_from_executors(self) -> Finding:
        url, hadoop = qualified(self._spark, self._output), hadoop_settings(self._spark)
        root = open_folder(url, hadoop)
        folder = root.join(f"_doctor-{secrets.token_hex(4)}")
        shared: str | None = None
        try:
            existed = root.exists()
            folder.write_text("shared", "from the driver")
            shared = "shared"
        except StorageError:  # reported by the driver's own check; the executors may still reach the storage
            pass
        try:
            trials = self._run_on_executors(
                partial(executor_probe.try_executor_storage, url=folder.url, hadoop=hadoop, shared=shared)
            )
        finally:
            if shared is not None:
                remove_test_folder(root, folder, existed)
        self.facts["storage_of_executors"] = trials
        return verdicts.storage("executors", trials, url)

    def _feed(self) -> Finding:
        slots = self._found_slots
        measured = feed_probe.measure(self._spark, slots, min(self._workers, slots.most), self._megabytes)
        self.facts["feed"] = measured
        return verdicts.feeding(measured)

    def _average(self) -> Finding:
        measured = run_function(
            averaging_probe.measure,
            workers=self._workers,
            engine=self._engine,
            name="doctor",
            args={"megabytes": _MEGABYTES, "repeats": 10},
            cluster={"slots_timeout": 10},
        )
        self.facts["averaging"] = measured
        self._resident = max(worker["resident"] for worker in measured)
        return verdicts.averaging(self._engine, _MEGABYTES, measured)

    @property
    def _found_slots(self) -> Slots:
        assert self._slots is not None  # checks that need executors are skipped if there are none
        return self._slots

    def _run_on_executors(self, function: Callable[[int], Value]) -> list[Value]:
        slots = self._found_slots
        most = slots.most if slots.local else self._workers
        return ApplicationExecutors(self._context, slots, min(self._workers, most)).run(function, "doctor")


def run_with_time_limit(spark: SparkSession, seconds: float, action: Callable[[], Value]) -> Value:
    """Call a function in a thread of its own, return its value, and cancel its Spark jobs if it doesn't finish in time.

    Args:
        seconds: the time limit.

    Raises:
        CheckTimedOut: the function did not finish in time.
        Exception: whatever the function raises.
    """
    context, tag = spark.sparkContext, f"sparktrain-doctor-{secrets.token_hex(4)}"
    values: list[Value] = []
    errors: list[BaseException] = []

    def work() -> None:
        context.addJobTag(tag)  # inherited by the jobs of every thread that the function starts
        try:
            values.append(action())
        except BaseException as error:  # raised below
            errors.append(error)

    thread = threading.Thread(target=inheritable_thread_target(spark)(work), name="doctor-check", daemon=True)
    thread.start()
    try:
        thread.join(seconds)
        if thread.is_alive():
            raise CheckTimedOut(f"the check did not finish within {seconds:.0f} s and was cancelled")
    except BaseException:  # an interrupt, too
        context.cancelJobsWithTag(tag)
        thread.join(_GRACE)
        raise
    if errors:
        raise errors[0]
    return values[0]
