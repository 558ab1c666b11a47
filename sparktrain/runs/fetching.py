"""`sparktrain runs fetch` and `sparktrain runs remove`: download a run to this machine, or remove it from the storage."""

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
    """Download a finished run, or one of its files, to this machine.

    Args:
        url: the run's URL, output.path/RUN or output.path/latest.
        to: the folder to create for the run, by default named by its id in the current folder; with `only`, the folder to put
            the file into, by default the current one.
        only: the name of a file or folder of the run, such as model.keras.

    Returns:
        The path of the download. It appears in one rename when it is complete.

    Raises:
        FileExistsError: the path exists already.
        NotFound: there is no such run, or it has no such file.
        StorageError: the storage can't be read, or the run has not finished.
    """
    run = find_run(url)
    if run.state != "finished":
        how = "is at work" if run.state == "running" else f"{run.content['status']}: {run.content.get('reason')}"
        raise StorageError(f"run {run.run} has no model to fetch: it {how}")
    if only is not None and not run.folder.exists(only):
        raise NotFound(f"{run.folder.join(only).url}: not there. The run has {', '.join(sorted(run.folder.list()))}")
    target = Path(to or ".", Path(only).name) if only is not None else Path(to or run.run)
    if target.exists():
        raise FileExistsError(f"{target} exists already and is not replaced: choose another place with --to")
    part = target.with_name(part_name())
    run.folder.download(only or "", part)
    part.rename(target)
    return target


def remove(url: str, confirm: Callable[[str], bool]) -> str:
    """Remove a finished run's folder, or the checkpoints and the record of a run that failed.

    Args:
        url: the run's URL, output.path/RUN.
        confirm: called with a question before a finished run is removed; returns whether to remove it.

    Returns:
        A sentence for the user that names the run removed.

    Raises:
        NotFound: there is no such run.
        StorageError: the run is still working, its removal wasn't confirmed, or the storage can't be reached.
    """
    location = parse(url)
    if location.name in ("", LATEST):
        raise StorageError(f"{url}: expected the id of the run to remove; `sparktrain runs list {location.parent}` lists them")
    root, run = open_folder(str(location.parent)), location.name
    seen = read_run(root, run)
    if seen is None and not root.exists(f"{STAGED}/{run}"):
        find_run(url)  # its error lists the runs that exist
        raise NotFound(f"{url}: there is no such run")
    if seen is not None and seen.state == "running" and silence(seen.content) <= SILENT:
        raise StorageError(
            f"run {run} is at work ({seen.content.get('user')} on {seen.content.get('host')}, "
            f"{seen.content.get('application')}): stop it first"
        )
    if seen is not None and seen.state == "finished":
        if not confirm(f"Remove the finished run {seen.folder.url} with its model?"):
            raise StorageError(f"run {run} was not removed: pass --yes to remove a finished run without being asked")
        root.remove(f"{run}/{SUMMARY}")  # first: without it, what remains if the removal is interrupted is not a finished run
        root.remove(run, recursive=True)
    root.remove(f"{STAGED}/{run}", recursive=True)
    failures.forget(root, run)
    return f"removed run {run} from {root.url}"
