"""Runs that are ended from outside: by a scheduler, by a terminal's Ctrl-C, by a kill of the driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import psutil
import pyarrow
import pyarrow.parquet
import pytest
import yaml

from sparktrain.runs.finished import resolve
from sparktrain.runs.snapshot import final_result
from sparktrain.storage import open_folder

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX")]

MODEL = """
import os
import time

def build():
    import keras
    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    return model

def linger():
    import keras

    class Linger(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.02)

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = os.path.exists("HOME/enough")

    return [Linger()]

def wait(frame):
    print("waiting for Spark", flush=True)
    parked = "java_method('java.util.concurrent.locks.LockSupport', 'parkNanos', 300000000000L)"
    frame.sparkSession.sql(f"SELECT {parked}").collect()

def once(frame):
    open("HOME/prepared", "x").close()   # an error where it is there
    return frame

def tell(end):
    open(f"told-{end['run']}", "w").write(end["status"])
"""
KEPT = ("--set", "data.keep=storage", "--set", "data.preprocess=mine:once")  # prepared once, and never again


@dataclass
class Run:
    """A launcher, and all that it says on standard output, as it comes."""

    launcher: subprocess.Popen
    models: Path
    id: str
    start: Callable[..., Run] = field(repr=False)  # another with the same job, or under the same name
    lines: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.lines.extend(line.rstrip("\n") for line in iter(self.launcher.stdout.readline, ""))

    @property
    def processes(self) -> list[psutil.Process]:
        """All that belong to it, whoever their parent is by now."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SPARKTRAIN_TEST_RUN") == f"{os.getpid()} {self.id}":
                    found.append(process)
            except psutil.Error:
                continue  # ended meanwhile
        return found

    @property
    def driver(self) -> int:
        return json.loads((self.models / "_runs" / self.id / "running.json").read_text())["pid"]

    def wait(self, until, seconds: float, what: str):
        deadline = time.monotonic() + seconds
        while not (found := until()):
            assert time.monotonic() < deadline, f"{what}:\n" + "\n".join(self.lines[-30:])
            time.sleep(0.05)
        return found

    def ended(self, seconds: float) -> dict:
        """Wait for the end of all its processes; the JSON line."""
        self.wait(lambda: self.launcher.poll() is not None, seconds, "the launcher goes on")
        self.wait(lambda: not self.processes, 5, f"left behind: {self.processes}")
        self.listener.join(5)
        return json.loads(self.lines[-1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs in their midst, started at once; by what is to become of them."""
    home = tmp_path_factory.mktemp("home")
    (home / "mine.py").write_text(MODEL.replace("HOME", str(home)))
    (home / "rows").mkdir()
    table = pyarrow.table({"x": [[n / 64, 1.0] for n in range(64)], "y": [n % 2 for n in range(64)]})
    pyarrow.parquet.write_table(table, home / "rows" / "part-0.parquet")
    job = {
        "data": {"path": f"file://{home}/rows", "features": ["x"], "label": "y", "keep": "none"},
        "model": {"build": "mine:build"},
        "training": {
            "engine": "single",
            "batch_size": 8,
            "epochs": 10_000,
            "callbacks": "mine:linger",
            "checkpoint": {"every": "epoch", "keep": 2},
        },
        "output": {"path": f"file://{home}/models"},
        "on_end": "mine:tell",
    }
    (home / "job.yaml").write_text(yaml.safe_dump(job))
    earlier = home / "models" / "earlier"
    earlier.mkdir(parents=True)
    (earlier / "summary.json").write_text(json.dumps({"finished": "2025-01-01T00:00:00+00:00"}))
    started = {}

    def start(name: str, master: str, *words: str) -> Run:
        command = [ROOT / "spark-submit.sh", "--master", master, "--driver-memory", "512m"]
        for setting in ("executor.memory=512m", "sql.shuffle.partitions=1", "ui.enabled=false"):
            command += ["--conf", f"spark.{setting}"]
        command += ["jobs/train.py", "--config", "job.yaml", "--run-id", name, "--result", f"{name}.json", *words]
        environment = {
            **os.environ,
            "PYTHONPATH": "",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARKTRAIN_TEST_RUN": f"{os.getpid()} {name}",
        }
        launcher = subprocess.Popen(
            command,
            cwd=home,
            env=environment,
            text=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        run = started[name] = Run(launcher, home / "models", name, start)
        run.listener = Thread(target=run.listen, daemon=True)
        run.listener.start()
        return run

    for name, master, *words in (
        ("scheduler", "local[1]"),
        ("terminal", "local[1]", "--set", "data.preprocess=mine:wait"),
        ("killed", "local-cluster[1,1,512]", *KEPT),  # executors in processes of their own, as on a cluster
    ):
        start(name, master, *words)
    try:
        for name, run in list(started.items()):  # what is told while it goes on comes while it goes on
            told = "waiting for Spark" if name == "terminal" else "epoch 2: loss"
            run.wait(lambda: any(line.startswith(told) for line in run.lines), 120, f"{name} never told: {told}")
            assert run.launcher.poll() is None
        yield started
    finally:
        for run in started.values():
            for process in run.processes:
                process.kill()


def stopped(run: Run, end: dict, resumable: bool) -> None:
    """What is to be seen of a run that was stopped."""
    assert run.launcher.returncode == 1, run.lines
    assert (end["status"], end["run"], end["workers"], end["engine"]) == ("stopped", run.id, 1, "single")
    assert "stopped from outside" in end["reason"] and end["output"] is None
    home = run.models.parent
    assert json.loads((home / f"{run.id}.json").read_text()) == end
    assert (home / f"told-{run.id}").read_text() == "stopped"
    assert not (run.models / run.id).exists()
    left = run.models / "_runs" / run.id
    assert not list(left.glob("running*.json"))
    assert left.exists() == resumable and bool(list(left.glob("checkpoints/*.npz"))) == resumable
    kept = run.models / "_ended" / run.id
    assert {path.name for path in kept.iterdir()} == {"end.json", "run.log"}
    record = json.loads((kept / "end.json").read_text())
    assert end.items() <= record.items() and record["traceback"] == "" and record["finished"] and record["resumable"] == resumable
    assert "stopped from outside" in (kept / "run.log").read_text().splitlines()[-1]
    assert any(f"--run-id {run.id}" in line for line in run.lines) == resumable
    assert resolve(f"file://{run.models}/latest") == f"file://{run.models}/earlier"


def test_a_scheduler_s_kill_ends_the_workers_is_told_and_leaves_what_the_run_has_come_to(runs):
    run = runs["scheduler"]
    run.launcher.terminate()
    stopped(run, run.ended(20), resumable=True)


def test_a_terminal_s_ctrl_c_is_told_though_it_ends_spark_s_jvm_too(runs):
    """While the program waits for the JVM's answer."""
    run = runs["terminal"]
    os.killpg(run.launcher.pid, signal.SIGINT)
    stopped(run, run.ended(20), resumable=False)


@pytest.mark.failures
def test_a_driver_that_is_killed_leaves_no_process_and_the_earlier_run_as_the_latest(runs, note_failure):
    run = runs["killed"]
    assert any("sparktrain.worker" in process.cmdline() for process in run.processes)
    status = run.models / "_runs" / "killed" / "status.json"  # written every few seconds
    run.wait(lambda: json.loads(status.read_text())["phase"] == "train", 20, "the status lags behind")
    began = time.monotonic()
    os.kill(run.driver, signal.SIGKILL)
    end = run.ended(20)
    noticed = time.monotonic() - began
    assert run.launcher.returncode == 1 and end["status"] == "failed" and end["run"] == "killed"
    assert json.loads((run.models.parent / "killed.json").read_text()) == end
    assert not (run.models / "killed").exists() and not (run.models / "_ended" / "killed").exists()
    assert final_result(open_folder(run.models), "killed") is None, "it had no time to say so"
    assert json.loads(status.read_text())["phase"] == "train"
    assert resolve(f"file://{run.models}/latest") == f"file://{run.models}/earlier"

    # The same command goes on from the last epoch's end, over the rows as they were prepared; not if it would be another run.
    other = run.start("killed", "local[1]", *KEPT, "--set", "training.batch_size=4")
    end = other.ended(90)
    assert (other.launcher.returncode, end["status"]) == (2, "refused")
    assert "configuration training batch_size was 8 and is 4" in end["reason"]
    (run.models.parent / "enough").touch()
    again = run.start("killed", "local[1]", *KEPT)
    end = again.ended(90)
    assert (again.launcher.returncode, end["status"]) == (0, "finished"), again.lines
    assert any(line.startswith("resuming run killed: ") for line in again.lines)
    told = next(line for line in again.lines if line.startswith("continuing from the end of epoch "))
    done = int(told.split("epoch ")[1])
    assert done >= 1 and end["epochs"] == done + 1
    history = json.loads((run.models / "killed" / "history.json").read_text())
    assert len(history["loss"]) == done + 1 and history["loss"][-1] < history["loss"][0]
    assert {path.name for path in (run.models / "killed").iterdir()} >= {"model.keras", "summary.json", "logs"}
    assert not {"identity.json", "checkpoints", "running.json"} & {path.name for path in (run.models / "killed").iterdir()}
    note_failure(
        "SIGKILL of the driver",
        "no process is left; the same command goes on from the last checkpoint, over the rows as they were prepared",
        noticed,
    )
