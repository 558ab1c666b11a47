"""Prepares the quickstart: starts a Hadoop on this machine, and chooses an engine that is installed."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

from sparktrain.display.result_line import tell
from sparktrain.launcher.errors import NotReady

COMMAND_LINE = ("--master", "local-cluster[2,1,1024]", "jobs/quickstart.py", "--config", "conf/quickstart.yaml")


def start_hadoop() -> None:
    """Start the sandbox, if it isn't running, and let HADOOP_CONF_DIR name its configuration.

    Raises:
        NotReady: it doesn't start.
    """
    from sparktrain.sandbox.errors import SandboxError
    from sparktrain.sandbox.sandbox import Sandbox

    stop = f"{shlex.quote(sys.executable)} -m sparktrain.sandbox stop"
    tell(f"sparktrain: starting a Hadoop on this machine (10 to 30 s). It stays up; to stop it: {stop}")
    begun = time.monotonic()
    try:
        sandbox = Sandbox(detached=True, show=lambda text: tell(f"sandbox: {text}")).start()
    except SandboxError as error:
        raise NotReady(f"the sandbox Hadoop did not start: {error}") from error
    tell(f"sandbox: up after {time.monotonic() - begun:.0f} s")
    os.environ["HADOOP_CONF_DIR"] = str(sandbox.conf_dir)


def engine_arguments(root: Path, without_horovod: str) -> tuple[str, ...]:
    """Return the job's arguments that choose an engine where Horovod is missing, and print why.

    Args:
        root: the project's folder.
        without_horovod: why Horovod is missing; empty if it isn't.
    """
    if not without_horovod or (root / ".venv" / "installed" / "horovod").exists():  # it has been compiled meanwhile
        return ()
    if Path(sys.prefix) == root / ".venv":
        tell(f"sparktrain: Horovod is not there: {without_horovod}. So TensorFlowOnSpark trains, to the same model.")
        return ("--set", "training.engine=tensorflowonspark")
    tell(f"sparktrain: Horovod is not there: {without_horovod}. So one worker trains, with engine single.")
    return ("--set", "training.engine=single", "--set", "training.workers=1")
