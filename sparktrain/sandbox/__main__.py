"""python -m sparktrain.sandbox start | status | stop | conf: a real Hadoop on this machine, until it is stopped.

`start yarn standalone` starts cluster managers for Spark beside it, and `stop yarn` ends one of them alone.
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
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sparktrain.sandbox", description=__doc__.splitlines()[0])
    parser.add_argument(
        "command",
        choices=["start", "status", "stop", "conf"],
        help=(
            "start: up until stop; status: 0 all serve, 1 none runs, 3 some do; stop: the data stays; "
            "conf: print the folder for HADOOP_CONF_DIR"
        ),
    )
    parser.add_argument(
        "managers",
        nargs="*",
        metavar="MANAGER",
        help=("yarn, standalone: to start beside Hadoop's file system, or to stop alone"),
    )
    parser.add_argument("--home", help="the sandbox's folder (default: the user's own, in XDG_DATA_HOME)")
    parser.add_argument("--timeout", type=float, default=START_SECONDS, help="seconds until it must serve (default: %(default)g)")
    parser.add_argument("--brief", action="store_true", help="with start: no list of addresses")
    asked = parser.parse_args(arguments)
    if asked.managers and asked.command not in ("start", "stop"):
        parser.error(f"{asked.command} takes no manager")
    sandbox = Sandbox(asked.home, detached=True, timeout=asked.timeout, tell=_tell)
    commands: dict[str, Callable[..., int]] = {
        "start": partial(_start, brief=asked.brief),
        "status": _status,
        "stop": _stop,
        "conf": _conf,
    }
    try:
        return commands[asked.command](sandbox, *asked.managers)
    except SandboxError as error:
        _tell(str(error))
        return DOWN
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130


def _start(sandbox: Sandbox, *managers: str, brief: bool = False) -> int:
    began = time.monotonic()
    was_up = _serves(sandbox) and set(managers) <= set(sandbox.home.managers())
    sandbox.start(*managers)
    _tell(("was up already" if was_up else f"up after {time.monotonic() - began:.0f} s") + ("" if brief else ":"))
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
        ("to end it", f"{shlex.quote(sys.executable)} -m sparktrain.sandbox stop{home}"),
    ):
        _tell(f"  {name:<16}{value}")
    return UP


def _status(sandbox: Sandbox) -> int:
    states = sandbox.status()
    if not states:
        _tell(f"no sandbox was started in {sandbox.home.folder}")
        return DOWN
    print(f"{'process':<14}{'pid':<10}{'URL':<26}state")
    for each in states:
        state = "live" if each.lacks is None else f"{'not ready' if each.pid else 'dead'}: {each.lacks}"
        print(f"{each.name:<14}{each.pid or '-':<10}{each.url:<26}{state}")
    if all(each.lacks is None for each in states):
        return UP
    return PARTLY if any(each.pid for each in states) else DOWN


def _stop(sandbox: Sandbox, *managers: str) -> int:
    running = sandbox.home.state() is not None
    sandbox.stop(*managers)
    if managers and running:
        _tell(f"stopped {', '.join(managers)}; the rest goes on")
        return UP
    _tell(f"stopped; its data stays in {sandbox.home.folder}" if running else "no sandbox is running")
    return UP


def _conf(sandbox: Sandbox) -> int:
    if not sandbox.home.ports():
        raise SandboxError(f"No sandbox was started in {sandbox.home.folder}; python -m sparktrain.sandbox start")
    print(sandbox.conf_dir)
    return UP


def _serves(sandbox: Sandbox) -> bool:
    states = sandbox.status()
    return bool(states) and all(each.lacks is None for each in states)


def _tell(line: str) -> None:
    print(f"sandbox: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
