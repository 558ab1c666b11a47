"""How jobs/train.py's program ends: what follows can't change that; it's told by line, status and on_end."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from sparktrain.cli.job_program import main
from sparktrain.driver import training_run
from sparktrain.driver.failure_report import failed
from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.result import Result, exit_status

MINE = """
import json

def build(): pass

def tell(end):
    with open("told.json", "w") as file:
        json.dump(end, file)

def tell_and_leave(end):
    tell(end)
    raise SystemExit(7)
"""


class Session:
    """Stands where Spark's session does: what is asked here is what a program makes of a run's end, whatever ran."""

    stopped = 0

    @property
    def builder(self):
        return self

    def appName(self, _):
        return self

    def getOrCreate(self):
        return self

    def stop(self):
        self.stopped += 1
        raise ConnectionError("the JVM is gone")


@pytest.fixture
def job(tmp_path, monkeypatch, capsys):
    """Runs the program with a run that ends as it is told; the exit status, the line, what was shown."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "job.yaml").write_text(
        "data: {path: /rows, features: [x], label: y}\nmodel: {build: mine:build}\noutput: {path: /models}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    session = Session()
    monkeypatch.setattr("pyspark.sql.SparkSession", session)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def run(end, *words, **hooks):
        monkeypatch.setattr(training_run, "run_job", lambda *_, **given: end(**given))
        status = main(["--config", "job.yaml", "--run-id", "mine", "--result", "end.json", *words], **hooks)
        assert session.stopped
        told = capsys.readouterr()
        line = json.loads(told.out.splitlines()[-1])
        assert json.loads((tmp_path / "end.json").read_text()) == line
        return status, line, told.err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    sys.modules.pop("mine", None)


def finished(run_id, **_):
    return Result(run=run_id, status="finished", output="/models/mine", rows=3)


def breaks(**_):
    raise RuntimeError("it broke")


@pytest.mark.parametrize("error", [ValueError("no AUC"), SystemExit(3), KeyboardInterrupt()])
def test_what_follows_a_finished_run_is_shown_when_it_fails_and_the_run_stays_finished(job, error):
    def compare(spark, job, result):
        assert result.rows == 3
        raise error

    status, line, shown = job(finished, after=compare)
    assert (status, line["status"], line["output"]) == (0, "finished", "/models/mine") and "reason" not in line
    assert "what follows the run failed" in shown and type(error).__name__ in shown and "in compare" in shown


def test_nothing_follows_a_run_that_failed(job):
    status, line, shown = job(breaks, after=lambda *_: pytest.fail("it was called"))
    assert (status, line["status"], line["reason"]) == (1, "failed", "RuntimeError: it broke") and "in breaks" in shown


def test_what_fails_before_the_run_fails_it(job):
    def write_data(spark, job):
        raise OSError("no space for the rows")

    status, line, _ = job(finished, before=write_data)
    assert (status, line["status"]) == (1, "failed") and "no space for the rows" in line["reason"]


@pytest.mark.parametrize("function", ["mine:tell", "mine:tell_and_leave"])
@pytest.mark.parametrize("end, code", [(finished, 0), (breaks, 1)])
def test_on_end_is_told_the_line_s_content_and_may_fail(job, tmp_path, function, end, code):
    status, line, shown = job(end, "--set", f"on_end={function}")
    assert status == code and json.loads((tmp_path / "told.json").read_text()) == line
    assert line["status"] == ("failed" if code else "finished")
    assert ("on_end (mine:tell_and_leave) failed" in shown) == (function == "mine:tell_and_leave")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_a_run_whatever_its_tidying_up_comes_upon(job, number):
    def ends(**_):
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # repeated, which changes nothing
            raise ConnectionError("the JVM got it, too")

    status, line, _ = job(ends)
    assert (status, line["status"], line["run"]) == (1, "stopped", "mine")


def test_an_error_of_its_own_is_no_stop(job):
    def ends(**_):
        try:
            raise ValueError("first")
        finally:
            breaks()

    assert job(ends)[1]["status"] == "failed"


def test_a_run_id_that_another_holds_is_refused_with_who_holds_it(job, tmp_path):
    folder = RunFolder(f"file://{tmp_path}/models", "mine", {})
    folder.claim({"application": "app-1", "user": "ann"})
    running = json.loads((tmp_path / "models/_runs/mine/running.json").read_text())
    assert running["application"] == "app-1" and running["pid"] == os.getpid() and running["host"] and running["since"]
    with pytest.raises(RunTaken) as caught:
        RunFolder(f"file://{tmp_path}/models", "mine", {}).claim({"application": "app-2", "user": "ben"})
    for word in ("'mine'", "app-1", "ann", str(os.getpid()), "--run-id", f"remove file://{tmp_path}/models/_runs/mine"):
        assert word in str(caught.value)
    assert json.loads((tmp_path / "models/_runs/mine/running.json").read_text()) == running  # it goes on
    result, details = failed(caught.value, "mine", None, 1.0)
    assert (result.status, exit_status(result), result.reason, details) == ("refused", 2, str(caught.value), "")

    def taken(**_):
        raise caught.value

    status, line, _ = job(taken)
    assert (status, line["status"], line["reason"]) == (2, "refused", str(caught.value))
    RunFolder(f"file://{tmp_path}/models", "other", {}).claim({})
