"""`sparktrain runs stop`: ask a running run, wherever its driver is, to stop."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable

from sparktrain.runs.finished import LATEST
from sparktrain.runs.json_text import now as current_time
from sparktrain.runs.paths import STOP
from sparktrain.runs.records.run import Stop
from sparktrain.runs.snapshot import SILENT, RunSnapshot, find_run, silence
from sparktrain.storage import StorageError
from sparktrain.storage.urls import parse


def stop(url: str, now: bool, warn: Callable[[str], object]) -> str:
    """Ask a running run to stop, by a request in its folder, which its driver reads within seconds.

    Args:
        url: the run's URL, output.path/RUN.
        now: whether to end the run at once; else it trains to the end of its epoch, and saves the model.
        warn: called with a message if the run has given no sign of life for a while.

    Returns:
        A sentence for the user that names the run and what was asked.

    Raises:
        NotFound: there is no such run.
        StorageError: the run has ended, or the storage can't be written.
    """
    location = parse(url)
    if location.name == LATEST:
        raise StorageError(
            f"{url}: `{LATEST}` is a run that has finished; name the run to stop. `sparktrain runs list {location.parent}` lists "
            "those that are running"
        )
    run = _running(url)
    Stop(now=now, user=_user(), host=socket.gethostname(), asked=current_time()).write(run.folder, STOP)
    try:
        _running(url)
    except StorageError:  # the run has ended meanwhile, and reads no request
        run.folder.remove(STOP)
        if run.folder.exists() and not run.folder.list():
            run.folder.remove()  # which the request had made anew
        raise
    if silence(run.content) > SILENT:
        warn(
            f"no sign of run {run.run} for {silence(run.content):.0f} s: it may have been killed, and then nobody reads the request. "
            "A run that is resumed doesn't go by it"
        )
    what = "at once; its checkpoints are kept" if now else "at the end of its epoch, and to save the model of then"
    return f"asked run {run.run} to stop {what}. It sees the request within seconds; `sparktrain runs wait {location}` waits for its end"


def _running(url: str) -> RunSnapshot:
    run = find_run(url)
    if run.state == "finished":
        raise StorageError(f"run {run.run} can't be stopped: it has finished, and its model is at {run.folder.url}")
    if run.state == "ended":
        raise StorageError(
            f"run {run.run} can't be stopped: it has ended already, {run.content['status']}: {run.content.get('reason')}"
        )
    return run


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "someone"
