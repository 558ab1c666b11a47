"""A worker that doesn't see the driver's output folder says so before it trains, and one whose driver was replaced ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sparktrain.cluster.processes.child import Child
from sparktrain.interfaces.messages import OutputCheck, decode_request, encode
from sparktrain.interfaces.training_spec import Output
from sparktrain.storage import ClaimLost, claims, open_folder
from sparktrain.training.output import NotShared, check_output

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def claimed(tmp_path):
    """The driver's folder as a worker of its host sees it, and its token."""
    url = f"file://{tmp_path}/driver"
    return url, claims.take(open_folder(url), {"host": "the driver's"})


def test_a_folder_with_the_drivers_claim_is_taken(claimed):
    url, token = claimed
    check = OutputCheck(Output(url, {}, token))
    assert decode_request(encode(check)) == check
    check_output(check.output)


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_of_the_hosts_own_is_refused_with_what_to_name(tmp_path, claimed, make):
    other = tmp_path / "other"  # the same path on another host
    if make:
        other.mkdir()
    with pytest.raises(NotShared, match="nothing of the driver's at file://.*a mount that all hosts share.*output.path"):
        check_output(Output(f"file://{other}", {}, claimed[1]))


def test_memory_is_no_folder_that_processes_share(claimed):
    with pytest.raises(NotShared, match="memory:// is each process's own"):
        check_output(Output("memory://models/run", {}, claimed[1]))


def test_a_worker_whose_run_another_driver_has_taken_over_ends(claimed):
    url, token = claimed
    assert claims.take(open_folder(url), {"host": "another"}, after=1)
    with pytest.raises(ClaimLost):
        check_output(Output(url, {}, token))


@pytest.mark.real
@pytest.mark.failures
def test_a_training_process_is_refused_before_it_imports_tensorflow(tmp_path, claimed, note_failure):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = time.monotonic()
    child = Child(environment, lambda message: None, str(tmp_path))
    child.check(OutputCheck(Output(f"file://{tmp_path}/other", {}, claimed[1])))
    outcome = child.wait()
    assert (outcome.cause, outcome.error, outcome.traceback) == ("input", "NotShared", "")
    seconds = time.monotonic() - begun
    assert seconds < 20
    note_failure(
        "An `output.path` that a worker's host doesn't share",
        "ends before TensorFlow is imported, with the folder and what to name instead; not tried again",
        seconds,
    )
