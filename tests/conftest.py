"""What every room's tests share: hypothesis without chance, and one Spark and one HDFS a test session."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from sparktrain.storage import Folder, hadoop_settings, open_folder

ROOT = Path(__file__).resolve().parent.parent

# For every JVM of a test, which runs each piece of code a few times: compiling it well costs more than it saves, and so
# does verifying classes. (What is disabled is the warning of that.)
os.environ["JAVA_TOOL_OPTIONS"] = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions "
    "-XX:-BytecodeVerificationRemote -Xlog:disable "
    f"-XX:SharedArchiveFile={sys.prefix}/spark-classes.jsa"
)

settings.register_profile(
    "sparktrain", derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sparktrain")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a script's `&`: what tests start would ignore Ctrl-C, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A file with a test or a fixture that asks for the one Spark
_ON_SPARK = re.compile(r"\bdef (\w+\(([^)]*, )?(spark|frame, small)|test_\w+\(([^)]*, )?frame)\b")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Deal the tests to processes: those on the one Spark to one of them, the others by the file."""
    from xdist.scheduler import LoadFileScheduling

    class OneSpark(LoadFileScheduling):  # loadgroup would read this off the tests, but not with pytest 9.2
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "spark" if _on_spark(ROOT / file) else file

    return OneSpark(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, or one process would wait for the other in the end."""

    def length(item: pytest.Item) -> int:
        return 0 if _on_spark(item.path) else 1 if item.get_closest_marker("clusters") else 2

    items.sort(key=length)


@functools.cache
def _on_spark(file: Path) -> bool:
    return bool(_ON_SPARK.search(file.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def spark(hdfs):
    """A real cluster of three executors of one core each, on this machine, whose default file system is HDFS."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARKTRAIN_TEST_SESSION"] = str(os.getpid())  # so that a test knows this session's processes
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    from pyspark.sql import SparkSession

    from sparktrain.cluster.executors.slots import executors_up

    session = (
        SparkSession.builder.master("local-cluster[3,1,1024]")
        .appName("sparktrain-tests")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"])
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    until = time.monotonic() + 120
    while executors_up(session.sparkContext) < 3:
        assert time.monotonic() < until, "the test session's three executors did not come up within 120 s"
        time.sleep(0.1)
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def a_time_out_leaves_spark_to_the_next_test():
    """pytest's time-out may raise while the JVM is asked: the answer is still to come, and the next call would take it for its own."""
    raises = signal.getsignal(signal.SIGALRM)

    def set_aside(number, frame):
        context = sys.modules["pyspark"].SparkContext._active_spark_context if "pyspark" in sys.modules else None
        if context is not None:
            client = context._jvm._gateway_client
            if client.get_thread_connection() not in client.deque:  # where it lies between two calls
                client.thread_connection.connection = None  # the next call opens another
            context.cancelAllJobs()
        raises(number, frame)

    if callable(raises):
        signal.signal(signal.SIGALRM, set_aside)


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory):
    """A real NameNode and two DataNodes, which this process and what it starts find by Hadoop's own configuration."""
    from sparktrain.sandbox import Sandbox

    with Sandbox(tmp_path_factory.mktemp("hdfs")) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HADOOP_CONF_DIR", str(sandbox.conf_dir))
        yield sandbox


@pytest.fixture
def note_failure():
    """Notes what became of a failure, for benchmarks/failures.py, where that has asked for it."""

    def note(what: str, happens: str, noticed: float | None = None, again: float | None = None) -> None:
        """Seconds from what was done until it was noticed, and until a worker made a step again."""
        if "SPARKTRAIN_FAILURES" in os.environ:
            with open(os.environ["SPARKTRAIN_FAILURES"], "a", encoding="utf-8") as notes:
                notes.write(json.dumps({"what": what, "happens": happens, "noticed": noticed, "again": again}) + "\n")

    return note


@pytest.fixture
def is_training():
    """Whether a process is a training process, started afresh or forked by an executor's template."""
    return _is_training


def _is_training(process: psutil.Process) -> bool:
    words = process.cmdline()
    return "sparktrain.worker" in words or ("sparktrain.template" in words and process.cwd() != "/")


@pytest.fixture
def node_processes():
    """Lists this session's TensorFlowOnSpark nodes and their managers: what Spark's Python processes have forked."""
    return _node_processes


def _node_processes() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("SPARKTRAIN_TEST_SESSION") == os.environ.get("SPARKTRAIN_TEST_SESSION")
            if mine and "pyspark.daemon" in process.cmdline():
                grandparent = process.parent().parent()
                if "pyspark.daemon" in grandparent.cmdline():
                    found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, AttributeError):
            continue  # ended meanwhile, or its parent has
    return found


# With no web server where one would be looked for
WEBHDFS_CLOSED = {"dfs.webhdfs.enabled": "false", "dfs.namenode.http-address": "localhost:9"}


@pytest.fixture(
    params=[
        "memory",
        "local",
        "copying",
        pytest.param("webhdfs", marks=pytest.mark.real),
        pytest.param("native hdfs", marks=pytest.mark.real),
    ]
)
def reopen(request, tmp_path, monkeypatch) -> Callable[[], Folder]:
    """Opens the folder anew, as another program would. `copying`: a real disk without the use of its renames."""
    if request.param.endswith("hdfs"):
        hdfs = request.getfixturevalue("hdfs")
        monkeypatch.setenv("HADOOP_CONF_DIR", str(hdfs.conf_dir))
        settings = hadoop_settings() | ({} if request.param == "webhdfs" else WEBHDFS_CLOSED)
        url = f"{hdfs.uri}/storage-tests/{uuid.uuid4().hex}"
        return lambda: open_folder(url, settings)
    url = {
        "memory": f"memory://tests/{uuid.uuid4().hex}",
        "local": str(tmp_path / "local store"),
        "copying": f"local://{tmp_path}/copying",
    }[request.param]
    return lambda: open_folder(url)


@pytest.fixture
def folder(reopen) -> Folder:
    return reopen()


@pytest.fixture(params=["webhdfs", "native"])
def way(request) -> dict[str, str]:
    """What Hadoop's configuration says besides, for each of the two ways to HDFS."""
    return {} if request.param == "webhdfs" else WEBHDFS_CLOSED
