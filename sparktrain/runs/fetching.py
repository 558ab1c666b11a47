"""`sparktrain runs fetch` and `sparktrain runs remove`: a run brought to this machine, and a run taken from the storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparktrain.runs import failures
from sparktrain.runs.finished import LATEST
from sparktrain.runs.paths import STAGED
from sparktrain.runs.snapshot import SILENT, find_run, read_run, silence
from sparktrain.storage import SUMMARY, NotFound, StorageError, open_folder
from sparktrain.storage.store import part_name
from sparktrain.storage.urls import parse


def fetch(url: str, to: str | None, only: str | None) -> Path:
    """Bring a finished run, or one of its files, to this machine.

    Args:
        url: of the run, output.path/RUN or output.path/latest.
        to: the folder to be made for the run, by default one of its id in the current folder; with `only` the folder that the file
            is put into, by default the current one.
        only: the name of a file or folder of the run, such as model.keras.

    Returns:
        What is there now: it appears whole, and replaces nothing.

    Raises:
        FileExistsError: something is there already.
        NotFound: there is no such run, or it has no such file.
        StorageError: the storage can't be read, or the run has not finished.
    """
    run = find_run(url)
    if run.state != "finished":
        how = "is at work" if run.state == "running" else f"{run.content['status']}: {run.content.get('reason')}"
        raise StorageError(f"run {run.run} has no model to be fetched: it {how}")
    if only is not None and not run.folder.exists(only):
        raise NotFound(f"{run.folder.join(only).url}: not there. The run has {', '.join(sorted(run.folder.list()))}")
    target = Path(to or ".", Path(only).name) if only is not None else Path(to or run.run)
    if target.exists():
        raise FileExistsError(f"{target} is there already, and nothing is replaced: name another place by --to")
    part = target.with_name(part_name())
    run.folder.download(only or "", part)
    part.rename(target)
    return target


def remove(url: str, confirm: Callable[[str], bool]) -> str:
    """Remove a run: its folder, or what it had come to and the record of its end.

    Args:
        url: of the run, output.path/RUN.
        confirm: asked before a finished run is removed.

    Returns:
        What was done, in words.

    Raises:
        NotFound: there is no such run.
        StorageError: it is at work, or wasn't confirmed, or the storage can't be reached.
    """
    location = parse(url)
    if location.name in ("", LATEST):
        raise StorageError(
            f"{url}: name the run that is to be removed, by its id: `sparktrain runs list {location.parent}` has them"
        )
    root, run = open_folder(str(location.parent)), location.name
    seen = read_run(root, run)
    if seen is None and not root.exists(f"{STAGED}/{run}"):
        find_run(url)  # which says what there is
        raise NotFound(f"{url}: there is no such run")
    if seen is not None and seen.state == "running" and silence(seen.content) <= SILENT:
        raise StorageError(
            f"run {run} is at work ({seen.content.get('user')} on {seen.content.get('host')}, "
            f"{seen.content.get('application')}): stop it first"
        )
    if seen is not None and seen.state == "finished":
        if not confirm(f"Remove the finished run {seen.folder.url} with its model?"):
            raise StorageError(f"run {run} stays: say --yes to have a finished run removed")
        root.remove(f"{run}/{SUMMARY}")  # first: a run is whole, or not there
        root.remove(run, recursive=True)
    root.remove(f"{STAGED}/{run}", recursive=True)
    failures.forget(root, run)
    return f"removed run {run} from {root.url}"
