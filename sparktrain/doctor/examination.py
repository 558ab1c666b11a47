"""The checks that need a cluster, one after the other, each with a time limit; one that fails doesn't stop the others."""

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

from sparktrain.cluster.executors import ApplicationExecutors
from sparktrain.cluster.gathering import Bounds, Executors, gather
from sparktrain.cluster.local_disks import spare_of
from sparktrain.cluster.slots import ClusterRefused, NoSlots, Slots, check_application, count_slots
from sparktrain.cluster.spark_context import jvm, master
from sparktrain.config import ConfigError
from sparktrain.doctor import averaging_probe, executor_probe, feed_probe, verdicts
from sparktrain.doctor.finding import Finding
from sparktrain.doctor.local_checks import driver_storage, leave_as_it_was
from sparktrain.driver.api import run_function
from sparktrain.driver.failure_report import failed
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.lineage import versions
from sparktrain.interfaces.launch import EngineRefused
from sparktrain.storage import StorageError, open_folder

Value = TypeVar("Value")
_GRACE = 30.0  # seconds that a check has to end once it is cancelled
_MEGABYTES = 64  # of the tensor that is averaged
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
    "executors need the driver's Python version and its packages, at the same path (PYSPARK_PYTHON) or packed "
    "(`sparktrain package`, spark.sparktrain.packages); an executor's own stderr says more"
)
_ADVICE = {
    "Spark": "Spark's own lines above say more",
    "settings": "Spark's own lines above say more",
    "executors": _ENVIRONMENT,
    "GPUs": "see what nvidia-smi says on that host, and that TensorFlow can be imported there",
    "storage": "name a folder with --output that this user may write to, on a storage that every node reaches",
    "averaging": "if workers did not come together: executors must reach each other and the driver on any port (the one to the "
    "driver can be fixed: cluster.driver_port). If an executor was ended for its memory: give it more by --conf "
    "spark.executor.memoryOverhead=2g. If a module is missing: " + _ENVIRONMENT,
    "feed": "rows cross between executors by Spark's shuffle: executors must reach each other, and their local dirs need room",
}
_VERSIONS = "versions on the executors"
# What can only fail again, slowly, where executors can't be used or have other versions.
_NEED_EXECUTORS = frozenset({_VERSIONS, "GPUs", "local disks", "storage from the executors", "feed"})


class TookTooLong(RuntimeError):
    """A check took longer than its time limit."""


class Examination:
    """An examination of a Spark application's cluster; `go` runs it.

    Args:
        output: a folder on the storage; one in /tmp of the default file system if left out.
        workers: number of workers that average.
        engine: a value of training.engine.
        wait: seconds to wait for the executors.
        megabytes: size of the rows that are fed.
        tell: told what is being done.

    Attributes:
        findings: so far.
        facts: what they go by.
    """

    def __init__(
        self,
        spark: SparkSession,
        output: str | None,
        workers: int,
        engine: str,
        wait: float = 120,
        megabytes: int = 100,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {"asked": {"workers": workers, "engine": engine, "output": output}}
        self._spark, self._context, self._tell = spark, spark.sparkContext, tell
        self._workers, self._engine, self._wait, self._megabytes = workers, engine, wait, megabytes
        self._output = output or f"/tmp/sparktrain-{self._context.sparkUser()}/doctor"
        self._settings = dict(self._context.getConf().getAll())
        self._unfit = ""  # the check that says that executors can't be used
        self._slots: Slots | None = None
        self._seen: list[dict[str, Any]] = []  # what was seen on each executor
        self._resident: int | None = None  # bytes of a training process

    def go(self) -> list[Finding]:
        for check, seconds, make in (
            ("Spark", 30, self._driver),
            ("settings", 30, self._application),
            ("executors", self._wait + 90, self._executors),
            (_VERSIONS, 10, lambda: verdicts.versions(versions(), self._seen, self._engine)),
            ("GPUs", executor_probe.CHILD_SECONDS + 30, self._gpus),
            ("local disks", 10, lambda: verdicts.disks(self._seen, spare_of(self._context, None))),
            ("storage from the driver", 90, self._storage_here),
            ("storage from the executors", 90, self._storage_there),
            ("feed", 180, self._feed),
            (f"averaging, {self._engine}", 300, self._average),
            ("memory beside the heap", 10, lambda: verdicts.memory(self._settings, master(self._context), self._resident)),
        ):
            if self._unfit and check in _NEED_EXECUTORS.union({f"averaging, {self._engine}"}):
                self.findings.append(Finding(check, f"not looked at: see `{self._unfit}`", "warning"))
                continue
            self._tell(f"looking at: {check}")
            begun = time.monotonic()
            try:
                finding = within(self._spark, seconds, make)
            except Exception as error:
                result, details = failed(error, check, None, 0)
                said = isinstance(error, (ClusterRefused, ConfigError, EngineRefused, NoSlots))  # what to do, too
                advice = next((text for start, text in _ADVICE.items() if check.startswith(start) and not said), "")
                python = f" (their Python: {self._python})" if check == "executors" else ""
                finding = Finding(check, f"{result.reason}{python}", "bad", advice)
                self.facts.setdefault("failures", {})[check] = details or result.reason
            if finding.verdict == "bad" and check in ("executors", _VERSIONS):
                self._unfit = check
            self.findings.append(finding)
            self.facts.setdefault("seconds", {})[check] = round(time.monotonic() - begun, 1)
        return self.findings

    @property
    def _python(self) -> str:
        """Return the Python that executors run according to the settings."""
        named = self._settings.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON")
        return named or "python3 on their PATH, as neither spark.pyspark.python nor PYSPARK_PYTHON is set"

    def _driver(self) -> Finding:
        java, context = jvm(self._context), self._context
        self.facts["driver"] = about = {
            "versions": versions(),
            "java": java.System.getProperty("java.version"),
            "hadoop_client": java.org.apache.hadoop.util.VersionInfo.getVersion(),
            "spark": context.version,
            "master": context.master,
            "application": context.applicationId,
            "host": context.getConf().get("spark.driver.host"),
        }
        self.facts["settings"] = {name: self._settings[name] for name in _SETTINGS if name in self._settings}
        here = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        return Finding(
            "Spark",
            f"master {about['master']}, driver on {about['host']}; Java {about['java']}, Hadoop client "
            f"{about['hadoop_client']}, {here}",
        )

    def _application(self) -> Finding:
        try:
            check_application(self._context)
            refused = None
        except ClusterRefused as error:
            refused = str(error)
        return verdicts.settings(self.facts.get("settings", {}), refused)

    def _executors(self) -> Finding:
        asked = int(self._settings.get("spark.executor.instances", "0"))
        try:
            slots = gather(
                Executors(self._context), Bounds(self._workers, max(self._workers, asked)), self._wait, on_waiting=self._tell
            )
        except NoSlots:
            slots = count_slots(self._context)
            if not slots.most:
                raise
        self._slots = slots
        self.facts["executors"] = listed = self._listed()
        self._seen = self._everywhere(executor_probe.look)
        self.facts["on_executors"] = self._seen
        return verdicts.executors(slots, listed, self._seen, self._settings, self._workers)

    def _listed(self) -> list[dict[str, Any]]:
        """Return the executors as Spark's own pages list them."""
        found = self._context._jsc.sc().statusStore().executorList(True)
        every = [found.apply(index) for index in range(found.size())]
        return [
            {"id": each.id(), "address": each.hostPort(), "cores": each.totalCores()} for each in every if each.id() != "driver"
        ]

    def _gpus(self) -> Finding:
        seen = self._everywhere(executor_probe.see_gpus) if any(each["gpus"] for each in self._seen) else []
        self.facts["gpus"] = seen
        return verdicts.gpus(self._seen, seen)

    def _storage_here(self) -> Finding:
        url = qualified(self._spark, self._output)
        tried = driver_storage(open_folder(url, hadoop_settings(self._spark)))
        self.facts["storage"] = {"url": url, "driver": tried}
        return verdicts.storage("driver", [tried], url)

    def _storage_there(self) -> Finding:
        url, hadoop = qualified(self._spark, self._output), hadoop_settings(self._spark)
        root = open_folder(url, hadoop)
        folder = root.join(f"_doctor-{secrets.token_hex(4)}")
        shared: str | None = None
        try:
            existed = root.exists()
            folder.write_text("shared", "from the driver")
            shared = "shared"
        except StorageError:  # told by the driver's own line; executors may do better
            pass
        try:
            tried = self._everywhere(partial(executor_probe.use_storage, url=folder.url, hadoop=hadoop, shared=shared))
        finally:
            if shared is not None:
                leave_as_it_was(root, folder, existed)
        self.facts["storage_of_executors"] = tried
        return verdicts.storage("executors", tried, url)

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
        self._resident = max(each["resident"] for each in measured)
        return verdicts.averaging(self._engine, _MEGABYTES, measured)

    @property
    def _found_slots(self) -> Slots:
        assert self._slots is not None  # what needs them is not looked at where there are none
        return self._slots

    def _everywhere(self, function: Callable[[int], Value]) -> list[Value]:
        slots = self._found_slots
        most = slots.most if slots.local else self._workers
        return ApplicationExecutors(self._context, slots, min(self._workers, most)).run(function, "doctor")


def within(spark: SparkSession, seconds: float, action: Callable[[], Value]) -> Value:
    """Call an action in a thread of its own, and cancel its Spark jobs if it isn't done in time.

    Raises:
        TookTooLong: it wasn't done in time.
        Whatever the action raises.
    """
    context, tag = spark.sparkContext, f"sparktrain-doctor-{secrets.token_hex(4)}"
    values: list[Value] = []
    errors: list[BaseException] = []

    def work() -> None:
        context.addJobTag(tag)  # every job of this thread, and of those that it starts, has it
        try:
            values.append(action())
        except BaseException as error:  # raised below
            errors.append(error)

    thread = threading.Thread(target=inheritable_thread_target(spark)(work), name="doctor-check", daemon=True)
    thread.start()
    try:
        thread.join(seconds)
        if thread.is_alive():
            raise TookTooLong(f"not done after {seconds:.0f} s, and cancelled")
    except BaseException:  # a stop from outside, too
        context.cancelJobsWithTag(tag)
        thread.join(_GRACE)
        raise
    if errors:
        raise errors[0]
    return values[0]
