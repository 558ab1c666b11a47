"""Runs a real Hadoop on this machine until it is stopped: python -m sparktrain.sandbox start | status | stop | conf.

`start yarn standalone` also starts cluster managers for Spark; `stop yarn` ends one of them and leaves the rest running.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial

from sparktrain.sandbox.errors import SandboxError
from sparktrain.sandbox.sandbox import START_SECONDS, Sandbox

UP, DOWN, PARTLY = 0, 1, 3


def main(arguments: list[str] | None = None) -> int:
    """Run one command of the sandbox, and return the exit status.

    Args:
        arguments: the command line's arguments; those of this process if left out.

    Returns:
        0 for success, 1 for an error or a sandbox that isn't running, 3 if `status` finds that some processes don't serve.
    """
    parser = argparse.ArgumentParser(prog="python -m sparktrain.sandbox", description=__doc__.splitlines()[0])
    parser.add_argument(
        "command",
        choices=["start", "status", "stop", "conf"],
        help=(
            "start: start the sandbox, which runs until stop; status: list its processes (exit status 0: all serve, 1: none "
            "runs, 3: some don't serve); stop: end it, keeping its data; conf: print the folder for HADOOP_CONF_DIR"
        ),
    )
    parser.add_argument(
        "managers",
        nargs="*",
        metavar="MANAGER",
        help="a cluster manager, yarn or standalone: with start, to start in addition to HDFS; with stop, to end alone",
    )
    parser.add_argument("--home", help="the sandbox's folder (default: sparktrain/sandbox in XDG_DATA_HOME)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=START_SECONDS,
        help="how many seconds to wait until all processes serve (default: %(default)g)",
    )
    parser.add_argument("--brief", action="store_true", help="with start: don't list the addresses")
    options = parser.parse_args(arguments)
    if options.managers and options.command not in ("start", "stop"):
        parser.error(f"{options.command} takes no cluster manager, and {' '.join(options.managers)} was given")
    sandbox = Sandbox(options.home, detached=True, timeout=options.timeout, show=_show)
    commands: dict[str, Callable[..., int]] = {
        "start": partial(_start, brief=options.brief),
        "status": _status,
        "stop": _stop,
        "conf": _conf,
    }
    try:
        return commands[options.command](sandbox, *options.managers)
    except SandboxError as error:
        _show(str(error))
        return DOWN
    except KeyboardInterrupt:
        _show("interrupted")
        return 130


def _start(sandbox: Sandbox, *managers: str, brief: bool = False) -> int:
    begun = time.monotonic()
    was_up = sandbox.serves() and set(managers) <= set(sandbox.home.managers())
    sandbox.start(*managers)
    _show(("was up already" if was_up else f"up after {time.monotonic() - begun:.0f} s") + ("" if brief else ":"))
    if brief:
        return UP
    home = f" --home {shlex.quote(str(sandbox.home.folder))}" if sandbox.home.folder != sandbox.home.default() else ""
    running = sandbox.home.managers()
    for name, value in (
        ("files", sandbox.uri),
        ("browse", f"{sandbox.web}/explorer.html"),
        *([("Spark's master", sandbox.master_url)] if "standalone" in running else []),
        *([("YARN", "--master yarn")] if "yarn" in running else []),
        ("HADOOP_CONF_DIR", sandbox.conf_dir),
        ("data and logs", sandbox.home.folder),
        ("to stop it", f"{shlex.quote(sys.executable)} -m sparktrain.sandbox stop{home}"),
    ):
        _show(f"  {name:<16}{value}")
    return UP


def _status(sandbox: Sandbox) -> int:
    states = sandbox.status()
    if not states:
        _show(f"no sandbox was ever started in {sandbox.home.folder}")
        return DOWN
    print(f"{'process':<14}{'pid':<10}{'URL':<26}state")
    for status in states:
        state = "live" if status.lacks is None else f"{'not ready' if status.pid else 'dead'}: {status.lacks}"
        print(f"{status.name:<14}{status.pid or '-':<10}{status.url:<26}{state}")
    if all(status.lacks is None for status in states):
        return UP
    return PARTLY if any(status.pid for status in states) else DOWN


def _stop(sandbox: Sandbox, *managers: str) -> int:
    running = sandbox.home.state() is not None
    sandbox.stop(*managers)
    if managers and running:
        _show(f"stopped {', '.join(managers)}; the other processes keep running")
        return UP
    _show(f"stopped; its data is kept in {sandbox.home.folder}" if running else "no sandbox is running")
    return UP


def _conf(sandbox: Sandbox) -> int:
    if not sandbox.home.ports():
        raise SandboxError(
            f"No sandbox was ever started in {sandbox.home.folder}. Start one first: python -m sparktrain.sandbox start"
        )
    print(sandbox.conf_dir)
    return UP


def _show(line: str) -> None:
    """Print a line for the user to standard error."""
    print(f"sandbox: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
