"""A copy of the project's commands in a folder of its own, and machines that lack things, made of a PATH."""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = (
    "bash",
    "cat",
    "cmp",
    "dirname",
    "env",
    "head",
    "ln",
    "mkdir",
    "mktemp",
    "ps",
    "readlink",
    "rm",
    "sed",
    "sleep",
    "tail",
    "touch",
    "true",
)


@dataclass
class Machine:
    """A machine that has the project, the usual small tools, and what a test gives it."""

    root: Path
    bin: Path
    variables: dict[str, str] = field(default_factory=dict)

    def give(self, name: str, script: str = "exit 0") -> None:
        """Install a program that is a shell script."""
        program = self.bin / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    def give_java(self, version: str = "17.0.9") -> None:
        self.give("java", f"echo 'openjdk version \"{version}\" 2024-01-01' >&2")

    def installer(self) -> ModuleType:
        """Return environment/install.py of this machine's project; its `steps` and `own_java` are those beside it."""
        folder = str(self.root / "environment")
        for name in ("install", "own_java", "steps", "stamps"):
            sys.modules.pop(name, None)  # those of another machine
        sys.path.insert(0, folder)
        try:
            installer = importlib.import_module("install")
            installer.steps = sys.modules["steps"]
            return installer
        finally:
            sys.path.remove(folder)
            for name in ("install", "own_java", "steps", "stamps"):
                del sys.modules[name]

    def stamp(self, *layers: str) -> None:
        """Leave stamps of layers as if this had installed them, Horovod among them."""
        installer = self.installer()
        for layer in layers:
            installer.write_stamp(layer)
        installer.HOROVOD.touch()

    def as_a_user(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may write only what the files' modes let it; root may write all."""
        return subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            preexec_fn=_give_up_what_root_may,
        )

    def use_active_environment(self) -> None:
        """Activate the environment that runs the tests, with this machine's real Java."""
        self.variables |= {"VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}
        if "JAVA_HOME" in os.environ:
            self.variables["JAVA_HOME"] = os.environ["JAVA_HOME"]

    def run(self, *command: str, cwd: Path | None = None, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd or self.root,
            env={"PATH": str(self.bin), "HOME": str(self.root)} | self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=240,
        )

    def ensure(self, layer: str = "base") -> subprocess.CompletedProcess[str]:
        """What the commands do first; prints the interpreter and the reason to go without Horovod."""
        script = (
            f'ROOT="$PWD"; . environment/ensure.sh; ensure {layer}; s=$?; '
            'echo "$PYTHON|$WITHOUT_HOROVOD|$PROBLEM|${JAVA_HOME:-}"; exit $s'
        )
        return self.run("bash", "-c", script)


def _give_up_what_root_may() -> None:
    if os.geteuid() == 0:
        for capability in (1, 2):  # to write, and to read and enter, against the modes
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    root, tools = tmp_path / "a project", tmp_path / "bin"
    root.mkdir()
    tools.mkdir()
    for name in ("pyproject.toml", "setup.py", "constraints.txt", "spark-submit.sh", "run-tests.sh"):
        shutil.copy(PROJECT / name, root / name)
    for name in ("environment", "conf", "jobs"):
        shutil.copytree(PROJECT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in TOOLS:
        os.symlink(shutil.which(name), tools / name)
    return Machine(root, tools)
