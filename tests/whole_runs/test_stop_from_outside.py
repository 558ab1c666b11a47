"""A run is stopped from another thread and from the command line, at its epoch's end or at once, whatever it does just then."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import numpy
import pytest
from pyspark.sql import functions as F

import sparktrain
from sparktrain.cli.command import main
from sparktrain.config import Job
from sparktrain.driver import SuppliedObjects, write_prepared
from sparktrain.interfaces import EndEvent, EpochEvent, PhaseEvent
from sparktrain.runs.snapshot import read_run
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]
PROMPT = (
    30.0  # seconds until a run that is stopped at once has ended: 5, and six times that where other tests keep the machine busy
)
WORDS = dict(
    features=["x"],
    label="y",
    workers=2,
    batch_size=16,
    epochs=50,
    validation={"fraction": 0.2},
    checkpoint={"every": "epoch", "keep": 2},
    keep="none",
)


def train(frame, small, output, **words):
    return sparktrain.train(
        frame, small.build_dropping, output=str(output), **{**WORDS, "callbacks": lambda: __import__("small").linger(), **words}
    )


class Watched:
    """A control whose events are kept, and an action that the first event of a kind starts."""

    def __init__(self, when=lambda event: False, then=lambda control: None):
        self.control, self.events, self.acted = sparktrain.RunControl(), [], None
        self._when, self._then = when, then
        self.control.subscribe(self._hear)

    def _hear(self, event) -> None:
        self.events.append(event)
        if self.acted is None and self._when(event):
            self.acted = time.monotonic()
            self._then(self.control)

    @property
    def epochs(self) -> list[int]:
        return [event.epoch for event in self.events if isinstance(event, EpochEvent)]

    @property
    def phases(self) -> list[str]:
        return [event.phase for event in self.events if isinstance(event, PhaseEvent)]


def epoch(number: int):
    return lambda event: isinstance(event, EpochEvent) and event.epoch == number


def phase(begin: str):
    return lambda event: isinstance(event, PhaseEvent) and event.phase.startswith(begin)


def stop_at_once(control) -> None:
    control.stop(now=True, reason="enough")


def test_at_an_epochs_end_all_workers_end_after_the_same_epoch_and_the_model_of_then_is_kept(frame, small, tmp_path):
    seen = Watched(epoch(2), lambda control: control.stop(reason="ann has seen enough"))
    result = train(frame, small, f"file://{tmp_path}", control=seen.control)
    assert result.status == "finished" and 3 <= result.epochs < 50 and result.summary["stopped_early"]
    assert f"stopped after epoch {result.epochs} of 50: ann has seen enough" in result.summary["notes"]
    assert len(result.history["loss"]) == len(result.history["val_loss"]) == result.epochs
    assert int(result.model.optimizer.iterations) == result.epochs * result.summary["steps_per_epoch"]
    assert "stopping at the end of the epoch: ann has seen enough" in open_folder(result.output).read_text("logs/run.log")

    assert seen.epochs == list(range(1, result.epochs + 1)) and seen.events[-1] == EndEvent(result.run, "finished")
    assert {event.run for event in seen.events} == {result.run}
    told = [event for event in seen.events if isinstance(event, EpochEvent)]
    assert all((event.epochs, event.attempt, event.again) == (50, 1, False) and event.seconds > 0 for event in told)
    assert [event.metrics["loss"] for event in told] == pytest.approx(result.history["loss"])
    workers = [name for name in ("start", "fill", "train", "save") if name in seen.phases]
    assert workers[-2:] == ["train", "save"] and seen.phases.index("train") < seen.phases.index("save")
    assert any("filling" in name for name in seen.phases)


def test_a_stop_that_was_asked_while_nothing_has_begun_leaves_one_epoch_of_a_single_worker(frame, small, tmp_path):
    control = sparktrain.RunControl()
    control.stop()
    result = train(
        frame, small, f"file://{tmp_path}", control=control, engine="single", workers=1, checkpoint={"every": 3, "keep": 1}
    )
    assert (result.status, result.epochs) == ("finished", 1)
    assert "stopped after epoch 1 of 50: asked by the program (RunControl.stop)" in result.summary["notes"]


def test_what_was_asked_of_an_attempt_that_is_lost_holds_for_the_next(frame, small, tmp_path):
    """Asked after the first epoch; a worker is lost in the second, and the attempt that follows has nothing to train."""
    where, written = str(tmp_path / "killed"), f"{tmp_path}/runs/_runs/*/checkpoints/000001-*"
    seen = Watched(epoch(1), lambda control: control.stop())
    result = train(
        frame,
        small,
        f"file://{tmp_path}/runs",
        control=seen.control,
        max_failures=1,
        callbacks=lambda: __import__("small").kill_once(where, 1, 1, 4, written),
    )
    assert (result.attempts, result.epochs, result.status, seen.epochs) == (2, 1, "finished", [1])
    assert any(note.startswith("stopped after epoch 1 of 50: ") for note in result.summary["notes"])


class Elsewhere(threading.Thread):
    """What a user at another machine does with a run, once it trains; `codes` are the commands' exit statuses."""

    def __init__(self, output: str, run: str, *words: str) -> None:
        super().__init__(daemon=True)
        self.output, self.run_id, self.words = output, run, words
        self.codes: list[int] = []
        self.asked = 0.0

    def run(self) -> None:
        root, url = open_folder(self.output), f"{self.output}/{self.run_id}"
        until = time.monotonic() + 120
        while time.monotonic() < until:
            seen = read_run(root, self.run_id)
            if seen is not None and seen.content.get("epoch", 0) >= 2:
                break
            time.sleep(0.1)
        self.asked = time.monotonic()
        self.codes.append(main(["runs", "stop", url, *self.words]))
        self.codes.append(main(["runs", "wait", url, "--timeout", "120"]))


def test_the_command_line_stops_a_run_at_its_epochs_end_and_waits_for_it(frame, small, hdfs, capsys):
    output = f"{hdfs.uri}/models/stopped"
    user = Elsewhere(output, "gently")
    user.start()
    result = train(frame, small, output, run_id="gently")
    user.join(60)
    told = capsys.readouterr()
    assert user.codes == [0, 0] and result.status == "finished" and 2 <= result.epochs < 50
    [note] = [
        note for note in result.summary["notes"] if note.startswith(f"stopped after epoch {result.epochs} of 50: asked by ")
    ]
    assert note.endswith("(sparktrain runs stop)")
    assert "asked run gently to stop at the end of its epoch" in told.err and json.loads(told.out) == result.to_dict()
    assert not {"stop.json"} & set(open_folder(result.output).list())
    assert main(["runs", "stop", result.output]) == 1 and "has finished" in capsys.readouterr().err


def test_the_command_line_stops_a_run_at_once_and_it_resumes_to_the_weights_of_an_unbroken_one(frame, small, tmp_path, capsys):
    output = f"file://{tmp_path}/runs"
    user = Elsewhere(output, "hard", "--now")
    user.start()
    with pytest.raises(sparktrain.RunStopped, match=r"stopped from outside: asked by .* \(sparktrain runs stop --now\)"):
        train(frame, small, output, run_id="hard", epochs=12)
    ended = time.monotonic()
    user.join(60)
    told = capsys.readouterr()
    assert user.codes == [0, 1] and ended - user.asked < PROMPT + 3, "the request is looked for every 3 s"
    line = json.loads(told.out)
    assert line["status"] == "stopped" and line["reason"].endswith("; every worker was ended") and line["attempts"] == 1
    assert "resume it with the same command and --run-id hard" in told.err
    record = json.loads((tmp_path / "runs" / "_ended" / "hard" / "end.json").read_text())
    assert record["resumable"] and record["traceback"] == ""
    assert not list(tmp_path.rglob("stop.json"))

    resumed = train(frame, small, output, run_id="hard", epochs=12)
    unbroken = train(frame, small, f"file://{tmp_path}/unbroken", epochs=12)
    assert resumed.epochs == 12 and not resumed.summary["stopped_early"] and resumed.history == unbroken.history
    for mine, expected in zip(resumed.model.get_weights(), unbroken.model.get_weights(), strict=True):
        numpy.testing.assert_array_equal(mine, expected)


def stopped(seen: Watched, action) -> None:
    """What is to be seen of a run that was stopped at once."""
    with pytest.raises(sparktrain.RunStopped, match="^stopped from outside: enough$"):
        action()
    assert seen.acted is not None and time.monotonic() - seen.acted < PROMPT, "it took too long"
    assert (seen.events[-1].status, seen.events[-1].reason) == ("stopped", "stopped from outside: enough; every worker was ended")


def test_at_once_while_executors_are_waited_for(frame, small, tmp_path):
    seen = Watched(phase("waiting for executors: 3 of 5"), stop_at_once)
    stopped(seen, lambda: train(frame, small, f"file://{tmp_path}", control=seen.control, workers=5))
    [ended] = (tmp_path / "_ended").iterdir()
    assert json.loads((ended / "end.json").read_text())["status"] == "stopped" and not list((tmp_path / "_runs").iterdir())


def test_at_once_while_spark_prepares_the_rows_and_no_other_job_of_the_application_ends(spark, frame, small, tmp_path):
    def sleep(seconds: int, column):
        def slowly(value):
            import time

            time.sleep(seconds)
            return value

        return F.udf(slowly, "int")(column)

    others: list[int] = []
    other = spark.range(1).select(sleep(12, F.col("id").cast("int")).alias("id"))
    neighbour = threading.Thread(target=lambda: others.append(other.collect()[0].id), daemon=True)
    neighbour.start()
    time.sleep(2)

    def begin(control) -> None:  # once its tasks are at work
        threading.Timer(3, stop_at_once, [control]).start()

    seen = Watched(lambda event: not isinstance(event, EndEvent) and "waiting" not in event.phase, begin)
    slow = frame.withColumn("number", sleep(60, "number"))
    words = dict(control=seen.control, workers=1, engine="single", label="number", validation=None, sample={"fraction": 0.5})
    stopped(seen, lambda: train(slow, small, f"file://{tmp_path}", **words))
    neighbour.join(60)
    assert others == [0] and not spark.sparkContext.getJobTags()
    assert "start" not in seen.phases and not spark.sparkContext.statusTracker().getActiveJobsIds()


@pytest.fixture(params=["a notebook's handler", "Spark's handler"])
def interrupt(request):
    """Sends this process a Ctrl-C's signal."""
    before = signal.getsignal(signal.SIGINT)
    if request.param == "a notebook's handler":
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_while_spark_prepares_the_rows_ends_its_jobs_and_the_session_goes_on(
    spark, frame, small, tmp_path, interrupt
):
    parked = "java_method('java.util.concurrent.locks.LockSupport', 'parkNanos', 60000000000L)"
    slow = frame.withColumn("number", F.expr(f"number + length(coalesce({parked}, ''))"))
    before, handler = time.monotonic(), signal.getsignal(signal.SIGINT)
    seen = Watched(lambda event: not isinstance(event, EndEvent), lambda control: threading.Timer(6, interrupt).start())
    words = dict(workers=1, engine="single", label="number", validation=None, sample={"fraction": 0.5})
    with pytest.raises(KeyboardInterrupt):
        train(slow, small, f"file://{tmp_path}", control=seen.control, **words)
    assert time.monotonic() - before < 6 + PROMPT and "start" not in seen.phases
    assert [event.status for event in seen.events if isinstance(event, EndEvent)] == ["stopped"]
    assert not spark.sparkContext.getJobTags() and signal.getsignal(signal.SIGINT) is handler
    cancelled = time.monotonic() + 10
    while spark.sparkContext.statusTracker().getActiveJobsIds():
        assert time.monotonic() < cancelled, "Spark goes on with what nobody waits for"
        time.sleep(0.1)
    assert [spark.range(count).count() for count in (3, 5, 7)] == [3, 5, 7]


@pytest.mark.parametrize("begin", ["filling", "build", "train"])
def test_at_once_while_workers_fill_build_and_train(frame, small, tmp_path, begin):
    seen = Watched(phase(begin), stop_at_once)
    rows = frame.where(f"number > -{len(begin)}")  # which no executor has kept, so that they are filled
    stopped(seen, lambda: train(rows, small, f"file://{tmp_path}", control=seen.control))


def rounds(worker, third):
    """A loop of a user's own, which asks after each round whether it is to end; how many there were. `third` is a file of its."""
    import time

    for number in range(1, 500):
        if number == 3:
            open(third, "w").close()
        time.sleep(0.05 * (1 + worker.rank))
        if worker.stop_requested():
            return number
    return -1


def fit(worker):
    """A distributed model's fit, of which epochs there were."""
    import small

    model = worker.distribute(small.build())
    history = model.fit(worker.dataset(16), epochs=200, callbacks=small.linger())
    return len(history.history["loss"]), worker.stop_requested()


def test_a_loop_of_a_users_own_is_asked_to_end_and_is_ended(frame, small, tmp_path):
    third = tmp_path / "third"

    def stop() -> None:
        until = time.monotonic() + 120
        while not third.exists() and time.monotonic() < until:
            time.sleep(0.05)
        seen.control.stop()

    seen = Watched(phase("run"), lambda control: threading.Thread(target=stop, daemon=True).start())
    both = sparktrain.run(rounds, workers=2, args={"third": str(third)}, control=seen.control)
    assert both[0] == both[1] and 3 <= both[0] < 500 and seen.events[-1].status == "finished"

    seen = Watched(epoch(2), lambda control: control.stop())
    (epochs, asked), other = sparktrain.run(fit, workers=2, data=frame, features=["x"], label="y", control=seen.control)
    assert (epochs, asked) == other and asked and 3 <= epochs < 200 and seen.epochs == list(range(1, epochs + 1))

    seen = Watched(phase("run"), stop_at_once)
    stopped(seen, lambda: sparktrain.run(rounds, workers=2, args={"third": str(third)}, control=seen.control))


def test_a_preparation_is_stopped_from_the_command_line_and_leaves_nothing(spark, frame, tmp_path, capsys):
    from pyspark.sql import functions as F

    def slowly(value):
        import time

        time.sleep(60)
        return value

    url, codes = f"file://{tmp_path}/rows", []
    job = Job.from_mapping(
        {
            "name": "rows",
            "data": {"features": ["x"], "label": "number"},
            "model": {},
            "output": {"path": f"file://{tmp_path}/models"},
        }
    )

    def ask() -> None:
        until = time.monotonic() + 60
        while not (tmp_path / "_runs" / "rows" / "status.json").exists() and time.monotonic() < until:
            time.sleep(0.1)
        codes.append(main(["runs", "stop", url]))  # which has no effect but a note, as there is no epoch
        time.sleep(5)
        codes.append(main(["runs", "stop", url, "--now"]))

    user = threading.Thread(target=ask, daemon=True)
    user.start()
    with pytest.raises(sparktrain.RunStopped, match=r"\(sparktrain runs stop --now\)"):
        slow = frame.withColumn("number", F.udf(slowly, "int")("number"))
        write_prepared(spark, job, url, supplied=SuppliedObjects(frame=slow))
    user.join(60)
    assert codes == [0, 0] and "there are no epochs here" in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.rglob("rows/*")) and not spark.sparkContext.statusTracker().getActiveJobsIds()
