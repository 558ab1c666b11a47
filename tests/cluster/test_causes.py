"""Which failure is called the cause, and what a driver counts as slots."""

from __future__ import annotations

import traceback
from types import SimpleNamespace

import pytest

from sparktrain.cluster.executors.slots import count_slots
from sparktrain.cluster.root_cause import WorkerFailure, root_cause, with_missing, with_reason
from sparktrain.cluster.spark_cause import spark_cause
from sparktrain.cluster.stage import AttemptFailed
from sparktrain.interfaces.collective import PeerLost
from sparktrain.interfaces.messages import Failure
from sparktrain.known_messages import kubernetes, spark, yarn
from sparktrain.storage import NotFound
from sparktrain.worker import _join, failure


def told(cause: str, part: int) -> WorkerFailure:
    return WorkerFailure(part, part, "host", Failure(cause, "Error", "what happened"))


@pytest.mark.parametrize(
    "arrived, part",
    [
        (["echo", "lost", "code"], 2),
        (["echo", "echo", "lost"], 2),
        (["lost", "input", "echo"], 1),
        (["code", "code"], 0),
        (["echo", "echo"], 0),
    ],
)
def test_the_peers_echoes_are_no_cause_and_of_equals_the_first_is(arrived, part):
    assert root_cause([told(cause, part) for part, cause in enumerate(arrived)]).part == part


def test_a_failure_shows_the_workers_own_traceback_wherever_python_shows_it():
    own = Failure(
        "code",
        "KeyError",
        "'missing'",
        "Traceback (most recent call last):\n  File \"mine.py\", line 7, in build\nKeyError: 'missing'\n",
    )
    error = AttemptFailed(WorkerFailure(1, 1, "node-7", own))
    shown = traceback.format_exception_only(error)
    assert shown[0].endswith("AttemptFailed: rank 1 on node-7: KeyError: 'missing'\n")
    assert "".join(shown[1:]).startswith("On rank 1 on node-7:\nTraceback") and '"mine.py", line 7' in "".join(shown)
    assert not getattr(AttemptFailed(told("code", 0)), "__notes__", [])


@pytest.mark.parametrize(
    "error, told",
    [
        (FileNotFoundError(2, "No such file or directory", "vocab.json"), True),
        (ValueError("Vocabulary file vocab.txt does not exist."), True),
        (ValueError("no rows"), False),
        (NotFound("hdfs:///models/x: there is no such file"), False),
    ],
)
def test_a_missing_file_of_the_users_says_how_it_comes_to_the_workers(error, told):
    assert ("model.files" in failure(error, None).message) is told


def test_a_lost_connection_that_no_worker_explains_names_those_who_had_not_come():
    message = with_missing(told("echo", 0), ["rank 1 on b", "rank 2 on c"]).failure.message
    assert message == (
        "what happened. No worker has failed by itself; rank 1 on b, rank 2 on c had not come to the collective call "
        "in which this one waited"
    )
    assert with_missing(told("echo", 0), []) == told("echo", 0), "all say the same, and nobody is missing"


@pytest.mark.parametrize(
    "reason, memory",
    [
        (spark.EXECUTOR_TAKEN.example, False),
        (spark.EXECUTOR_LOST.example, False),
        (
            f"ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: {spark.CONTAINER_TOO_LARGE.example}",
            True,
        ),
        (
            f"ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: {yarn.CONTAINER_TOO_LARGE.example}",
            True,
        ),
        (f"{spark.EXECUTOR_LOST.example}\n{kubernetes.CONTAINER_TOO_LARGE.example}", True),
    ],
)
def test_a_lost_executor_says_why_the_cluster_manager_ended_it_and_what_to_set(reason, memory):
    verdict = f"Job aborted due to stage failure: {spark.BARRIER_STAGE_LOST.example}\n{reason}"
    failure = with_reason(told("lost", 0), verdict).failure
    assert failure.message.startswith(f"what happened. Spark says: {reason.splitlines()[0]}")
    assert ("cluster.worker_memory" in failure.message) is memory and failure.traceback == f"Spark says: {verdict}"


def test_workers_that_do_not_come_together_blame_no_code():
    assert failure(PeerLost("gone"), None).cause == "echo"
    assert failure(KeyError("mine"), None).cause == "code"
    with pytest.raises(ImportError):  # an engine that isn't installed is nobody's loss
        _join("no_such_engine", every_step=True)


def test_what_spark_never_said_keeps_its_name():
    assert spark_cause(TypeError("cannot pickle 'lock'")) == "TypeError: cannot pickle 'lock'"


class _Context(SimpleNamespace):
    """Stands where Spark's context does, for the words of its configuration alone."""

    defaultParallelism = 200  # of spark.default.parallelism

    def getConf(self):
        return {}


@pytest.mark.parametrize("master, cores", [("local", 1), ("local[3]", 3), ("local[ 2 , 4]", 2)])
def test_local_slots_are_cores_whatever_the_default_parallelism(master, cores):
    slots = count_slots(_Context(master=master))
    assert slots.cores == slots.most == cores
