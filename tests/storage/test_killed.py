"""A writer that is killed leaves nothing where readers look, and what was there as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sparktrain.runs.finished import newest
from sparktrain.storage import open_folder

pytestmark = [pytest.mark.real, pytest.mark.slow]

UPLOAD = """
import sys
from sparktrain.storage import open_folder

def peak():   # not getrusage, which begins with what the parent had
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

folder, big = open_folder(sys.argv[1]), sys.argv[2]
folder.exists()
before = peak()
print("ready", flush=True)
folder.upload(big, "model.keras")
print(peak() - before, flush=True)
"""
PUBLISH = """
import sys
from sparktrain.storage import open_folder
print("ready", flush=True)
open_folder(sys.argv[1]).publish("_runs/one", "one")
"""


@pytest.fixture
def big(tmp_path) -> Path:
    path = tmp_path / "big"
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for _ in range(160):
            file.write(block)
    return path


def _kill_in_the_middle(program: str, arguments: list[str], begun: Callable[[], bool]) -> None:
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while not begun():
            assert process.poll() is None and time.monotonic() < deadline, "it was to be killed while it writes"
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_killed_upload_leaves_the_earlier_file_on_a_disk(tmp_path, big):
    folder = open_folder(tmp_path / "store")
    folder.write_text("model.keras", "earlier")

    def parts():
        return [path for path in (tmp_path / "store").iterdir() if path.name.endswith(".part")]

    _kill_in_the_middle(UPLOAD, [folder.url, str(big)], lambda: any(part.stat().st_size for part in parts()))
    assert 0 < parts()[0].stat().st_size <= big.stat().st_size
    assert folder.list() == ["model.keras"] and folder.read_text("model.keras") == "earlier"


def test_a_killed_upload_leaves_the_earlier_file_on_hdfs(hdfs, big, monkeypatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(hdfs.conf_dir))
    folder = open_folder(f"{hdfs.uri}/storage-tests/killed-{os.getpid()}")
    folder.write_text("model.keras", "earlier")
    _kill_in_the_middle(UPLOAD, [folder.url, str(big)], lambda: len(folder._ask("list", "", folder._store.entries)) > 1)
    assert folder.list() == ["model.keras"] and folder.read_text("model.keras") == "earlier"


def test_a_publish_killed_while_it_copies_shows_no_run_and_can_be_done_again(tmp_path, big):
    folder = open_folder(f"local://{tmp_path}/store")
    for name in ("a", "b", "c"):
        folder.upload(big, f"_runs/one/{name}")
    folder.write_text("_runs/one/summary.json", json.dumps({"finished": "2025-03-01T10:00:00Z"}))
    _kill_in_the_middle(PUBLISH, [folder.url], (tmp_path / "store/one/a").exists)
    assert folder.exists("one/a") and folder.exists("_runs/one/summary.json")
    assert newest(folder, 9) == []
    folder.publish("_runs/one", "one")
    assert [run["run"] for run in newest(folder, 9)] == ["one"]
    assert folder.join("one").list() == ["a", "b", "c", "summary.json"] and not folder.exists("_runs/one")
    assert (tmp_path / "store/one/a").read_bytes() == big.read_bytes()


@pytest.mark.parametrize("store", ["disk", "hdfs"])
def test_a_large_file_is_not_held_in_memory(request, tmp_path, big, store, monkeypatch):
    url = str(tmp_path / "store")
    if store == "hdfs":
        hdfs = request.getfixturevalue("hdfs")
        monkeypatch.setenv("HADOOP_CONF_DIR", str(hdfs.conf_dir))
        url = f"{hdfs.uri}/storage-tests/large-{os.getpid()}"
    done = subprocess.run([sys.executable, "-c", UPLOAD, url, str(big)], capture_output=True, text=True, timeout=240, check=True)
    kilobytes = int(done.stdout.splitlines()[1])
    assert kilobytes < 50_000, f"{kilobytes} KB more than before to upload {big.stat().st_size >> 10}"
    open_folder(url).download("model.keras", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == big.read_bytes()
