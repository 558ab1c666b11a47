"""Run the tools that make the environment, one after the other, their output to a log that is named when one fails.

Imported by install.py under the machine's Python: only the standard library is at hand.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
HEARTBEAT = 30  # seconds between signs of life where there is no terminal
# Of the user's settings of pip, those that say how packages are reached. Others say where to install, or what (`user`,
# `target`, `constraint`, `require-hashes`, …): those are for the user's own installations.
KEPT_OF_PIP = (
    "index-url",
    "extra-index-url",
    "no-index",
    "find-links",
    "cert",
    "client-cert",
    "proxy",
    "trusted-host",
    "timeout",
    "default-timeout",
    "retries",
    "cache-dir",
    "no-cache-dir",
    "keyring-provider",
    "use-feature",
)


class StepFailed(Exception):
    """A tool that makes the environment failed; its output is in the log.

    Args:
        text: which one, and how.
        cause: the line of its output that says why.
    """

    def __init__(self, text: str, cause: str = "") -> None:
        super().__init__(text)
        self.cause = cause


def say(text: str) -> None:
    """Print a line for the user, on standard error."""
    print(f"sparktrain: {text}", file=sys.stderr, flush=True)


def step(name: str, command: Sequence[str], expected: str = "") -> None:
    """Run one tool, its output to the log.

    Args:
        name: what it does.
        command: the tool.
        expected: how long it takes, and what it takes of the network and the disk.

    Raises:
        StepFailed: it ended with another status than 0.
    """
    say(f"  {name}{f' ({expected})' if expected else ''} ...")
    begun = time.monotonic()
    with open(LOG, "ab", buffering=0) as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        # Not in a session of its own: Ctrl-C at the terminal must reach the tool too.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(PYTHON.exists()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=False,
        )
        said = relay(process, log, name, begun)
    if process.wait() != 0:
        raise StepFailed(f"{name}: ended with status {process.returncode}", cause(said))
    say(f"  {name}: done in {time.monotonic() - begun:.0f} s")


def relay(process: subprocess.Popen, log: BinaryIO, name: str, begun: float) -> str:
    """Copy a tool's output to the log, show that it is alive, and return the end of what it said."""
    terminal = sys.stderr.isatty()
    shown, said = time.monotonic(), b""
    while True:
        if select.select([process.stdout], [], [], 1)[0]:
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            log.write(chunk)
            said = (said + chunk)[-65536:]
        now = time.monotonic()
        if terminal and now - shown >= 0.5:
            width = shutil.get_terminal_size().columns
            sys.stderr.write("\r\033[K" + f"sparktrain:   {name}: {now - begun:.0f} s"[: width - 1])
            sys.stderr.flush()
            shown = now
        elif not terminal and now - shown >= HEARTBEAT:
            say(f"    {now - begun:.0f} s so far")
            shown = now
    if terminal:
        sys.stderr.write("\r\033[K")
    return said.decode(errors="replace")


def cause(said: str) -> str:
    """The line of a tool's output that says why it failed: the last one that calls itself an error, else the last one."""
    lines = [line.strip() for line in re.split(r"[\r\n]", said) if line.strip()]
    errors = [line for line in lines if re.match(r"(\w*error|fatal)\b", line, re.IGNORECASE)]
    return (errors or lines or [""])[-1]


def log_tail(lines: int = 15) -> str:
    """The end of the log, indented."""
    try:
        text = LOG.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join("  | " + line for line in text.splitlines()[-lines:])


@functools.cache
def _environment(made: bool) -> dict[str, str]:
    """The tools' environment; before the first step has made .venv there is no pip to ask."""
    return clean_environment(os.environ, pip_settings(os.environ) if made else {})


def clean_environment(environment: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would lead Python or pip elsewhere than into .venv.

    Args:
        environment: the user's.
        pip: variables for pip, in place of the user's own.
    """
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    kept = {key: value for key, value in environment.items() if key not in left_out and not key.startswith("PIP_")}
    path = os.pathsep.join([str(PYTHON.parent), environment.get("PATH", os.defpath)])
    return {**kept, **pip, "PYTHONNOUSERSITE": "1", "PATH": path}


def pip_settings(environment: Mapping[str, str], python: Path = PYTHON) -> dict[str, str]:
    """Return, as variables for pip, which of the user's settings say how packages are reached.

    Args:
        environment: where pip finds them: its variables, and its files.
        python: an interpreter with pip.
    """
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**clean_environment(environment, {}), **_of_pip(environment)},
        check=False,
    ).stdout
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}  # each counts more than those before it
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in found and name in KEPT_OF_PIP:
            found[section][f"PIP_{name.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    merged = {key: value for section in found.values() for key, value in section.items()}
    return {**merged, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def _of_pip(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith("PIP_") and key != "PIP_REQUIRE_VIRTUALENV"}
