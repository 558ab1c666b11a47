"""Executors of one node settle among themselves who has which GPU, where the cluster manager doesn't say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / "conf" / "discover-gpus.sh"
CLAIMS = Path("/tmp/sparktrain-gpu-claims")
pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]
# Stands for an executor: it asks as Spark's JVM does, tells what it got, and lives on until its input ends.
EXECUTOR = (
    "import subprocess, sys; done = subprocess.run([sys.argv[1]], capture_output=True, text=True);"
    "print(done.returncode, done.stdout.strip() or done.stderr.strip(), flush=True); sys.stdin.read()"
)


@pytest.fixture
def executors():
    """Starts executors at the same moment on a node of its own GPUs, and gives what each got."""
    node, running = f"{os.getpid()}", []

    def start(count: int, wanted: int = 1) -> list[tuple[int, str]]:
        environment = {**os.environ, "SPARKTRAIN_GPU_LIST": f"{node}-0 {node}-1", "SPARKTRAIN_GPUS": str(wanted)}
        begun = [
            subprocess.Popen(
                [sys.executable, "-c", EXECUTOR, str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for _ in range(count)
        ]
        running.extend(begun)
        answers = [process.stdout.readline().strip().partition(" ") for process in begun]
        return [(int(status), text) for status, _, text in answers]

    def stop() -> None:
        while running:
            running.pop().communicate(timeout=20)

    start.stop = stop
    yield start
    stop()
    for number in (0, 1):
        Path(f"{CLAIMS}/{node}-{number}@{os.getuid()}").unlink(missing_ok=True)


def addresses(answers: list[tuple[int, str]]) -> list[str]:
    return sorted(address[-1] for status, text in answers if status == 0 for address in json.loads(text)["addresses"])


def test_each_gpu_goes_to_one_executor_and_one_too_many_is_told_who_has_them(executors):
    answers = executors(3)
    assert addresses(answers) == ["0", "1"]
    [refusal] = [text for status, text in answers if status]
    assert "1 GPU(s) were asked for" in refusal and refusal.count("(process ") == 2


def test_the_gpus_of_executors_that_are_gone_are_free_again(executors):
    assert addresses(executors(2)) == ["0", "1"]
    executors.stop()
    assert addresses(executors(1, wanted=2)) == ["0", "1"]


def test_a_link_in_the_shared_folder_leads_no_claim_elsewhere(executors, tmp_path):
    """Other users of the node may put links there, to files of whoever runs the executor."""
    assert addresses(executors(1)) == ["0"]  # makes the folder
    assert CLAIMS.stat().st_mode & 0o7777 == 0o1777
    executors.stop()
    mine = tmp_path / "mine"
    mine.write_text("precious")
    claim = CLAIMS / f"{os.getpid()}-0@{os.getuid()}"
    claim.unlink()
    claim.symlink_to(mine)
    assert addresses(executors(1)) == ["0"]
    assert mine.read_text() == "precious" and not claim.is_symlink()
