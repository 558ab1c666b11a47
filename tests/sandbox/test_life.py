"""When a sandbox starts and ends, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hdfs import InsecureClient

from sparktrain.sandbox import Sandbox, SandboxError, ports
from sparktrain.sandbox.home import Home

pytestmark = [pytest.mark.real, pytest.mark.slow]

SECONDS = 12

OWNER = """
import os, sys, time
from sparktrain.sandbox import Sandbox
with Sandbox(sys.argv[1]) as sandbox:
    if os.fork() == 0:
        # A process that inherits all that its parent has open, as a fork of a user's program may.
        time.sleep(60)
        os._exit(0)
    print(*[each.pid for each in sandbox.status()], flush=True)
    time.sleep(600)
"""


def owner(home: Path) -> tuple[subprocess.Popen, list[int]]:
    """Starts a program that has a sandbox, and returns it with the sandbox's process ids."""
    root = Path(__file__).parents[2]
    program = subprocess.Popen([sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, text=True, cwd=root)
    pids = [int(word) for word in program.stdout.readline().split()]
    return program, [*pids, Home(home).state()["supervisor"]]


def test_it_ends_with_its_owner_and_its_files_stay(tmp_path, hdfs, gone):
    """A killed owner, one that Ctrl-C ends, and another sandbox beside them that nothing happens to."""
    program, pids = owner(tmp_path)
    sandbox = Sandbox(tmp_path)
    address = sandbox.uri
    assert len(pids) == 4 and address != hdfs.uri
    InsecureClient(sandbox.web, user="somebody").write("/kept/file", b"content")
    program.kill()
    assert gone(pids, SECONDS)
    program.wait()

    program, pids = owner(tmp_path)
    assert sandbox.uri == address
    with InsecureClient(sandbox.web, user="somebody").read("/kept/file") as reader:
        assert reader.read() == b"content"
    program.send_signal(signal.SIGINT)
    assert gone(pids, SECONDS)
    assert program.wait() != 0
    assert sandbox.status()[0].lacks == "not running"
    assert all(each.lacks is None for each in hdfs.status())


def test_from_the_command_line_it_stays_up_until_stop(tmp_path, command, gone):
    began = command("start", "--home", tmp_path)
    assert began.returncode == 0, began.stderr
    sandbox = Sandbox(tmp_path)
    assert sandbox.uri in began.stderr and f"{sandbox.web}/explorer.html" in began.stderr
    pids = [each.pid for each in sandbox.status()]
    again = command("start", "--home", tmp_path)
    assert again.returncode == 0 and "was up already" in again.stderr
    with sandbox:
        assert [each.pid for each in sandbox.status()] == pids
    assert command("status", "--home", tmp_path).returncode == 0
    conf = command("conf", "--home", tmp_path)
    assert conf.stdout.splitlines() == [str(tmp_path / "conf")]
    assert sandbox.uri in (tmp_path / "conf" / "core-site.xml").read_text()

    assert command("stop", "--home", tmp_path).returncode == 0
    assert gone(pids, 0)
    assert command("status", "--home", tmp_path).returncode == 1
    assert (tmp_path / "data" / "namenode").is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_no_daemon_outlives_a_killed_supervisor_and_a_lost_port_is_replaced(tmp_path, gone, monkeypatch, hdfs):
    taken = int(hdfs.web.rpartition(":")[2])
    choose, asked = ports.choose, []

    def choose_late(wanted, kept):
        """The first time, chooses a port that another program takes before the daemon does."""
        asked.append(kept)
        chosen = choose(wanted, kept)
        if len(asked) == 1:
            chosen["datanode-2"]["http"] = taken
        return chosen

    monkeypatch.setattr(ports, "choose", choose_late)
    sandbox = Sandbox(tmp_path)
    with sandbox:
        assert len(asked) == 2
        pids = [each.pid for each in sandbox.status()]
        os.kill(sandbox.home.state()["supervisor"], signal.SIGKILL)
        assert gone(pids, SECONDS)
        assert [each.pid for each in sandbox.status()] == [None] * 3


def test_a_daemon_that_ends_while_starting_is_shown_with_its_last_lines(tmp_path):
    sandbox = Sandbox(tmp_path)
    sandbox.home.make()
    (tmp_path / "data" / "datanode-2").write_text("where its folder should be")
    with pytest.raises(SandboxError, match=r"datanode-2 ended with status \d+") as error:
        sandbox.start()
    assert str(tmp_path / "logs" / "datanode-2.log") in str(error.value)
    assert "volumes failed: 1" in str(error.value)
    assert sandbox.home.state() is None


def test_one_that_does_not_serve_in_time_says_what_is_missing_and_leaves_nothing(tmp_path):
    sandbox = Sandbox(tmp_path, timeout=0.5)
    with pytest.raises(SandboxError, match="doesn't serve after 0.5 seconds: namenode: .*doesn't answer"):
        sandbox.start()
    assert sandbox.home.state() is None
