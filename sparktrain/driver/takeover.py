"""Going on with a run whose driver was killed: when it counts as dead, and whether it is still the same run."""

from __future__ import annotations

import hashlib
import json
import socket
from datetime import datetime
from typing import Any, Mapping

import psutil

from sparktrain.config import Job
from sparktrain.driver.output import RUNNING, STATUS, RunFolder, RunTaken, write_json
from sparktrain.driver.seen import silence
from sparktrain.storage import NotFound

IDENTITY = "identity.json"
SILENT = 300.0   # seconds; a driver gives a sign every minute
_MAY_DIFFER = {"training": ("workers", "time_limit", "max_failures", "gpus_per_worker"), "output": ("path",)}


class NotTheSame(RunTaken):
    """A run is gone on with only as what it was begun as."""


def take_over(folder: RunFolder, who: Mapping[str, Any]) -> str | None:
    """Make a run this process's own where the one who had it is dead.

    Args:
        who: this process, as `RunFolder.claim` writes it down.

    Returns:
        Who had it, in words; None where that one is alive, or another was faster.
    """
    try:
        before = folder.staged.read_text(RUNNING)
    except NotFound:   # it has ended meanwhile
        return None
    other = json.loads(before)
    if not _is_dead(folder, other):
        return None
    marker = f"{RUNNING}.{hashlib.sha256(before.encode()).hexdigest()[:10]}"
    if not folder.staged.claim(marker, json.dumps(who).encode()):
        return None
    try:
        if folder.staged.read_text(RUNNING) != before:
            return None   # another has taken it over since it was looked at
        folder.staged.write_text(RUNNING, json.dumps(who))
    finally:
        folder.staged.remove(marker)
    return f"{other.get('application')} on {other['host']}, begun {other['since']}"


def _is_dead(folder: RunFolder, other: Mapping[str, Any]) -> bool:
    if other["host"] == socket.gethostname():
        try:
            begun = psutil.Process(other["pid"]).create_time()
        except psutil.NoSuchProcess:
            return True
        return begun > datetime.fromisoformat(other["since"]).timestamp()   # the number is another process's by now
    try:
        status = json.loads(folder.staged.read_text(STATUS))
    except NotFound:
        status = {}
    return silence({**other, **status}) > SILENT


def identity(job: Job, code: Mapping[str, str], inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """What must be the same for a run to be gone on with: its configuration but for what may differ, code and input."""
    config = job.model_dump(mode="json")
    del config["cluster"]
    for section, names in _MAY_DIFFER.items():
        for name in names:
            config[section].pop(name, None)
    return json.loads(json.dumps({"configuration": config, "code": dict(code), "input": inputs}, default=str))


def check_same(folder: RunFolder, mine: Mapping[str, Any]) -> None:
    """Hold a run against what it was begun as; write that down where it begins now.

    Raises:
        NotTheSame: naming what differs.
    """
    if not folder.staged.exists(IDENTITY):
        write_json(folder.staged, IDENTITY, mine)
        return
    begun = json.loads(folder.staged.read_text(IDENTITY))
    differing = [each for name in mine for each in _differing(name, begun[name], mine[name])]
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
    return [f"{name} was {begun!r} and is {now!r}"]
