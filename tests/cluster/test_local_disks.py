"""How much of each local disk is left free, and on which disks a worker has a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrain.cluster.disks.local_disks import Spare, make_folders, remove_left, spare

CHECK = "yarn.nodemanager.disk-health-checker."
MIB = 1 << 20


@pytest.mark.parametrize(
    "setting, master, yarn, expected",
    [
        (None, "yarn", {}, Spare(256 * MIB, 0.12)),  # YARN gives a disk up at 90 %
        (None, "yarn", {f"{CHECK}max-disk-utilization-per-disk-percentage": "97.5"}, Spare(256 * MIB, 0.03)),
        (None, "yarn", {f"{CHECK}min-free-space-per-disk-mb": "5000"}, Spare(6000 * MIB, 0.12)),
        (None, "yarn", {f"{CHECK}enable": "false"}, Spare(256 * MIB)),
        (None, "k8s://https://cluster", {}, Spare(256 * MIB, 0.12)),
        (None, "spark://host:7077", {}, Spare(256 * MIB)),  # nobody gives the disk up
        (None, "local[4]", {}, Spare(256 * MIB)),
        ("20g", "yarn", {}, Spare(20 << 30)),
    ],
)
def test_what_is_left_free_follows_from_the_setting_and_the_cluster_managers_own_check(setting, master, yarn, expected):
    left = spare(setting, master, yarn)
    assert (left.size, left.share) == (expected.size, pytest.approx(expected.share))


def test_the_larger_of_both_is_left_free():
    assert Spare(256 * MIB, 0.12).of(1 << 40) == int(0.12 * (1 << 40)) and Spare(256 * MIB, 0.12).of(1 << 30) == 256 * MIB


def test_a_worker_has_one_folder_on_each_disk_that_can_be_written_to(tmp_path, capsys):
    directories = [tmp_path / name for name in ("a", "b", "c")]
    for each in directories[:2]:
        each.mkdir()
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    name = f"sparktrain-test-{os.getpid()}"
    folders = make_folders(name, [*directories, elsewhere])
    try:
        assert folders == [directories[0] / name, elsewhere / name] and all(each.is_dir() for each in folders)
        assert f"no segments go to {directories[2]}" in capsys.readouterr().err
    finally:
        (elsewhere / name).rmdir()
    with pytest.raises(OSError):
        make_folders(name, [directories[2]])


def test_what_a_killed_task_has_left_is_removed_from_every_disk(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=180)
    left = [tmp_path / name / f"sparktrain-run-0-aa-pid{gone.pid}" for name in "ab"]
    alive = tmp_path / "a" / f"sparktrain-run-1-bb-pid{os.getpid()}"
    for each in (*left, alive):
        (each / "segments").mkdir(parents=True)
    remove_left([tmp_path / "a", tmp_path / "b"])
    assert not any(each.exists() for each in left) and alive.exists()
