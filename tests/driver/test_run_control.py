"""A run hears of a stop wherever it waits, from any thread, and tells its events one at a time."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from sparktrain import RunControl, RunStopped
from sparktrain.driver.control.controlled_run import ControlledRun
from sparktrain.driver.failure_report import failed
from sparktrain.interfaces.events import EndEvent, EpochEvent, PhaseEvent
from sparktrain.interfaces.messages import EpochEnd, Joined, Progress
from sparktrain.runs.records.run import Stop


class Context:
    """A SparkContext that notes tags and cancellations."""

    def __init__(self):
        self.tags, self.cancelled = set(), []
        self.addJobTag, self.removeJobTag, self.cancelJobsWithTag = self.tags.add, self.tags.discard, self.cancelled.append


class Attempt:
    def __init__(self):
        self.told = []

    def stop(self, reason):
        self.told.append(("stop", reason))

    def end_epoch(self, reason):
        self.told.append(("end epoch", reason))


def ending(error):
    return ("finished", None) if error is None else (failed(error, "one", None, 0)[0].status, str(error))


@pytest.fixture
def make():
    """Makes a controlled run; its notes are in `notes`."""

    def controlled(control=None, **words):
        display = SimpleNamespace(notes=[], progress=SimpleNamespace(on_phase=None))
        display.note = display.notes.append
        run = ControlledRun(control, "one", Context(), display, ending, **words)
        run.notes, run.context = display.notes, run._context
        return run

    yield controlled
    until(lambda: not [each for each in threading.enumerate() if each.name in ("run-events", "cancel-jobs")])


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stop_at_once_ends_a_pause_cancels_the_runs_own_jobs_and_becomes_one_error(make):
    control = RunControl()
    run = make(control)
    begun = time.monotonic()
    with pytest.raises(RunStopped, match="stopped from outside: mine"), run, run.converted():
        [tag] = run.context.tags
        threading.Timer(0.2, control.stop, [True, "mine"]).start()
        run.pause(60)
    assert time.monotonic() - begun < 30 and not run.context.tags
    assert set(run.context.cancelled) <= {tag} and run.notes == ["stopping at once: mine"]

    control = RunControl()
    run = make(control)
    with pytest.raises(RunStopped) as stopped, run, run.converted():
        control.stop(now=True)
        until(lambda: run.context.cancelled)
        raise RuntimeError("Job 3 cancelled part of cancelled job tags")
    assert "cancelled job tags" in str(stopped.value.__cause__)


def test_without_a_stop_errors_and_pauses_are_as_they_are(make):
    run = make()
    with pytest.raises(ZeroDivisionError), run, run.converted():
        run.pause(0.01)
        run.check()
        raise ZeroDivisionError
    assert not run.notes and not run.context.cancelled


def test_an_attempt_hears_of_a_stop_in_its_time_before_it_and_in_a_later_attempt(make):
    control, attempts = RunControl(), [Attempt() for _ in range(3)]
    run = make(control)
    with run, run.converted():
        control.stop(reason="first")
        control.stop(reason="second")
        for attempt in attempts[:2]:
            with run.attempting(attempt):
                pass
        with run.attempting(attempts[2]):
            control.stop(now=True, reason="at once")
            control.stop(now=False, reason="too late")
            time.sleep(0.3)
            assert not run.context.cancelled, "an attempt ends its own jobs, once its tasks had time to end"
        until(lambda: run.context.cancelled)
    assert [attempt.told for attempt in attempts] == [
        [("end epoch", "first")],
        [("end epoch", "first")],
        [("end epoch", "first"), ("stop", "at once")],
    ]
    assert run.notes == ["stopping at the end of the epoch: first", "stopping at once: at once"]


def test_what_waits_elsewhere_is_ended_by_its_own_action_also_where_the_stop_came_before(make):
    control, ended, heard = RunControl(), threading.Event(), []
    run = make(control)
    with pytest.raises(RunStopped), run, run.converted():
        with run.interrupting(ended.set):
            threading.Thread(target=control.stop, args=[True]).start()
            heard.append(ended.wait(30))
        with run.interrupting(lambda: pytest.fail("too late")):
            pytest.fail("the run is stopped already")
    assert heard == [True]


def test_a_run_that_was_stopped_before_it_began_ends_where_it_first_looks(make):
    control = RunControl()
    control.stop(now=True)
    control.stop(now=True)
    run = make(control)
    with pytest.raises(RunStopped, match=r"asked by the program \(RunControl.stop\)"), run, run.converted():
        run.check()
    with pytest.raises(ValueError, match="was of run one, and run one needs one of its own"), make(control):
        pass
    control.stop()  # without effect


def test_many_threads_stop_a_run_once(make):
    control, attempt = RunControl(), Attempt()
    run = make(control)
    with run, run.attempting(attempt):
        threads = [threading.Thread(target=control.stop, args=[number % 2 == 1, str(number)]) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert control.asked.now and [what for what, _ in attempt.told].count("stop") >= 1 and len(run.notes) <= 2


def test_a_request_from_the_command_line_names_who_asks_and_a_preparation_has_no_epoch_to_end(make):
    def request(now):
        return Stop(now=now, user="ann", host="node7", asked="")

    control = RunControl()
    run = make(control)
    with run:
        run.request(request(False))
        assert (control.asked.now, control.asked.reason) == (False, "asked by ann on node7 (sparktrain runs stop)")
        run.request(request(True))
        assert (control.asked.now, control.asked.reason) == (True, "asked by ann on node7 (sparktrain runs stop --now)")
    preparation = make(has_epochs=False)
    with preparation:
        preparation.request(request(False))
        preparation.check()
        assert "there are no epochs here" in preparation.notes[0]
        preparation.request(request(True))
        with pytest.raises(RunStopped, match="ann on node7"):
            preparation.check()


def test_subscribers_hear_everything_in_order_one_at_a_time_and_an_epoch_that_is_trained_again_is_marked(make):
    control, heard, inside = RunControl(), [], []
    run = make(control)

    def slow(event):
        inside.append(event)
        assert len(inside) == 1
        time.sleep(0.01)
        heard.append(event)
        inside.clear()

    control.subscribe(slow)
    with run:
        run._display.progress.on_phase("preparing")
        run._display.progress.on_phase("preparing")
        for attempt, epochs in ((1, (1, 2, 3)), (2, (3, 4))):
            run.message(0, Joined(1, 1, 1, 1, 1, {}), attempt)
            run.message(1, Joined(0, 1, 1, 1, 1, {}), attempt)
            run.message(1, Progress(1, 9, 1, 1, 1, {}), attempt)
            for epoch in epochs:
                run.message(0, EpochEnd(epoch, 1.0, {"loss": 9.0}), attempt)
                run.message(1, EpochEnd(epoch, 2.0, {"loss": 1.0}), attempt)
    assert heard == [
        PhaseEvent("one", "preparing"),
        *(EpochEvent("one", epoch, 9, 2.0, {"loss": 1.0}, 1, False) for epoch in (1, 2, 3)),
        EpochEvent("one", 3, 9, 2.0, {"loss": 1.0}, 2, True),
        EpochEvent("one", 4, 9, 2.0, {"loss": 1.0}, 2, False),
        EndEvent("one", "finished", None),
    ]


def test_a_subscriber_may_stop_the_run_and_one_that_fails_is_noted_once_and_ends_nothing(make, caplog):
    control, heard = RunControl(), []
    run = make(control)

    def fail(event):
        raise SystemExit("mine")

    control.subscribe(fail)
    control.subscribe(lambda event: (heard.append(event), control.stop(now=True, reason="by a subscriber")))
    with pytest.raises(RunStopped), run, run.converted():
        run._display.progress.on_phase("one")
        run._display.progress.on_phase("two")
        run.pause(30)
    assert [type(each) for each in heard] == [PhaseEvent, PhaseEvent, EndEvent]
    assert (heard[-1].status, heard[-1].reason) == ("stopped", "stopped from outside: by a subscriber")
    [note] = [note for note in run.notes if "subscriber of this run's events failed" in note]
    assert "SystemExit: mine" in note and len(caplog.records) == 3


def test_a_run_that_was_stopped_has_its_status_its_reason_and_no_traceback():
    result, details = failed(RunStopped("stopped from outside: asked by ann"), "one", None, 1.0)
    assert (result.status, result.reason, details) == ("stopped", "stopped from outside: asked by ann", "")
