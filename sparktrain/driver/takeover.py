"""Resuming a run whose driver is dead: when it counts as dead, and whether the run is still the same."""

from __future__ import annotations

import json
import time
from types import MappingProxyType
from typing import Any, Callable, Mapping

from sparktrain.config import Job
from sparktrain.driver.output import IDENTITY, STATUS, RunFolder, RunTaken, process_is_gone, write_json
from sparktrain.storage import NotFound, claims

SILENT = 180.0   # seconds; a driver gives a sign every minute
_LOOK = 5.0      # seconds between looks at another driver's signs
_MAY_DIFFER = {"training": ("workers", "time_limit", "max_failures", "gpus_per_worker"), "output": ("path",)}


class NotTheSame(RunTaken):
    """A run can only be resumed with the configuration, code and input that it started with."""


def take_over(folder: RunFolder, who: Mapping[str, Any], note: Callable[[str], object] = lambda text: None,
              silent: float = SILENT) -> str | None:
    """Claim a run whose driver is dead.

    A driver on this machine is dead when its process is gone. Any other is watched: dead is one that gives no sign of life
    on the storage for so long by this process's own clock, whatever its host's clock says.

    Args:
        who: this process, as `RunFolder.claim` writes it down.
        note: told that it waits, and for whom.
        silent: seconds to watch for a sign of life.

    Returns:
        The new claim's token; None where the other driver is alive, or another process was quicker.

    Raises:
        StorageError: the storage fails.
    """
    found = claims.owner(folder.staged)
    if found is None:   # it has ended meanwhile
        return claims.take(folder.staged, who)
    number, other = found
    dead = process_is_gone(other)
    if dead is None:
        note(f"run {folder.run} belongs to {other.get('application')} on {other.get('host')}, begun {other.get('since')}: waiting up to "
             f"{silent:.0f} s for a sign of life of it")
        dead = _stays_silent(folder, silent)
    return claims.take(folder.staged, who, after=number) if dead else None


def _stays_silent(folder: RunFolder, seconds: float) -> bool:
    begun, before = time.monotonic(), _signs(folder)
    while time.monotonic() - begun < seconds:
        time.sleep(min(_LOOK, seconds / 10))
        if _signs(folder) != before:
            return False
    return True


def _signs(folder: RunFolder) -> tuple[Any, str]:
    """What a driver that lives changes from time to time."""
    try:
        status = folder.staged.read_text(STATUS)
    except NotFound:
        status = ""
    return claims.owner(folder.staged), status


def identity(
    job: Job, code: Mapping[str, str], inputs: list[dict[str, Any]], given: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """What must be the same for a run to be gone on with: its configuration but for what may differ, code and input.

    Args:
        code: the SHA-256 of each file of code.
        inputs: the files that are read.
        given: fingerprints of what a program hands over (fingerprint.of_given).
    """
    config = job.model_dump(mode="json")
    del config["cluster"]
    for section, names in _MAY_DIFFER.items():
        for name in names:
            config[section].pop(name, None)
    return json.loads(json.dumps({"configuration": config, "code": dict(code), "input": inputs, "given": dict(given)}, default=str))


def check_same(folder: RunFolder, mine: Mapping[str, Any]) -> None:
    """Hold a run against what it was begun as; write that down where it begins now.

    Raises:
        NotTheSame: naming what differs.
    """
    if not folder.staged.exists(IDENTITY):
        write_json(folder.staged, IDENTITY, mine)
        return
    begun = json.loads(folder.staged.read_text(IDENTITY))
    # Keys that the version which began the run did not know have no other value there
    known = {name: value if name != "configuration" else {
        section: {key: each for key, each in content.items() if key in begun[name][section]} if isinstance(content, dict) else content
        for section, content in value.items() if section in begun[name]} for name, value in mine.items() if name in begun}
    differing = [each for name in known for each in _differing(name, begun[name], known[name])]
    if differing:
        raise NotTheSame(
            f"run {folder.run!r} was begun otherwise, and can't be gone on with: {'; '.join(differing[:5])}. Undo that, or give "
            f"this one another --run-id (or remove {folder.staged.url})"
        )


def _differing(name: str, begun: Any, now: Any) -> list[str]:
    if begun == now:
        return []
    if isinstance(begun, dict) and isinstance(now, dict):
        return [each for key in sorted({*begun, *now}) for each in _differing(f"{name} {key}", begun.get(key), now.get(key))]
    if name == "input":
        old, new = ({file["path"]: file for file in files} for files in (begun, now))
        changed = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
        return [f"{len(changed)} input files differ, {changed[0]} among them"]
    if name.startswith("given "):
        what = {"given frame": "its plan (sources, conditions, functions, columns)", "given pipeline": "a stage, or a parameter of one,"}.get(
            name, "its code, or what that refers to,")
        return [f"the {name.removeprefix('given ')} that the program hands over is another: {what} has changed"]
    return [f"{name} was {begun!r} and is {now!r}"]
