"""What a sandbox says where it can't start."""

from __future__ import annotations

import os
import sys

import pytest

from sparktrain.sandbox import Sandbox, SandboxError, home, java
from sparktrain.sandbox.home import Home


def test_a_machine_without_java_is_told_how_to_get_it(tmp_path, command):
    environment = {**os.environ, "PATH": str(tmp_path)}
    environment.pop("JAVA_HOME", None)
    if os.path.exists(os.path.join(sys.prefix, "bin", "java")):  # the environment's own is found without a PATH
        environment["JAVA_HOME"] = str(tmp_path)
    ended = command("start", "--home", tmp_path / "home", env=environment)
    assert ended.returncode == 1 and ended.stdout == ""
    assert "there is no java on PATH" in ended.stderr or "has no bin/java" in ended.stderr
    assert "apt-get install default-jre-headless" in ended.stderr and "brew install" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_java_home_without_java_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SandboxError, match=f"JAVA_HOME={tmp_path} has no bin/java"):
        java.find_java()


def test_a_java_that_is_too_old_is_named_with_its_version(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SandboxError, match=f"needs Java 17 or newer, and {program} is 8"):
        java.find_java()


@pytest.mark.parametrize(
    "script, said",
    [
        (
            "#!/bin/sh\necho 'Error: Could not reserve enough space' >&2; exit 1\n",
            "failed with exit status 1: Error: Could not reserve",
        ),
        ("\x7fELF of another processor", "failed with exit status 127: .*Exec format error"),
    ],
)
def test_a_java_that_fails_is_shown_with_what_it_says(tmp_path, monkeypatch, script, said):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SandboxError, match=said):
        java.find_java()


def test_a_folder_that_hadoop_cannot_use_is_refused_before_anything_starts(tmp_path, command):
    ended = command("start", "--home", tmp_path / "my data")
    assert ended.returncode == 1
    assert "my data" in ended.stderr and "--home" in ended.stderr
    assert not (tmp_path / "my data").exists()


@pytest.mark.parametrize("data", ["my home/.local/share", "Jürgen/.local/share", "a,b"])
def test_a_home_that_hadoop_cannot_use_is_left_for_a_folder_of_the_user_s_alone(tmp_path, monkeypatch, data):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "fine"))
    assert Home.default() == tmp_path / "fine" / "sparktrain" / "sandbox"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / data))
    monkeypatch.setattr(home, "FALLBACK", tmp_path)
    own = tmp_path / f"sparktrain-{os.getuid()}"
    assert Home.default() == own / "sandbox" and own.stat().st_mode & 0o777 == 0o700
    Home(Home.default()).make()
    own.chmod(0o770)
    with pytest.raises(SandboxError, match=f"{own} is not a folder of mode 0700 that belongs to you. Set XDG_DATA_HOME"):
        Home.default()
    own.rename(tmp_path / "theirs")
    own.symlink_to(tmp_path / "theirs")
    with pytest.raises(SandboxError, match="belongs to you"):
        Home.default()


def test_a_sandbox_that_was_never_started_says_so(tmp_path, command):
    assert command("status", "--home", tmp_path).returncode == 1
    ended = command("conf", "--home", tmp_path)
    assert ended.returncode == 1 and ended.stdout == "" and "python -m sparktrain.sandbox start" in ended.stderr
    with pytest.raises(SandboxError, match="never started"):
        Sandbox(tmp_path).uri  # noqa: B018
    assert command("stop", "--home", tmp_path).returncode == 0
