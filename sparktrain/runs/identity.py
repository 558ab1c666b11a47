"""What must be the same for a run to be resumed: its configuration, code and input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sparktrain.runs.folder import RunFolder, RunTaken
from sparktrain.runs.paths import IDENTITY
from sparktrain.runs.records.origin import Identity

_MAY_DIFFER = {"training": ("workers", "time_limit", "max_failures", "gpus_per_worker"), "output": ("path",)}


class NotTheSame(RunTaken):
    """Raised where a run would be resumed with another configuration, code or input than it started with.

    Attributes:
        differences: what differs, in words; empty where only the message says it.
    """

    def __init__(self, message: str, differences: str = "") -> None:
        super().__init__(message)
        self.differences = differences


def identity(
    configuration: Mapping[str, Any],
    code: Mapping[str, str],
    inputs: list[dict[str, Any]],
    given: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what must be the same for a run to be resumed: code, input, and the configuration without what may differ.

    Args:
        configuration: the job's sections, as values that JSON can hold.
        code: the SHA-256 of each file of the user's code.
        inputs: the files that are read.
        given: fingerprints of the objects that a program passes (driver.fingerprint).
    """
    config = {
        section: {name: value for name, value in content.items() if name not in _MAY_DIFFER.get(section, ())}
        if isinstance(content, Mapping)
        else content
        for section, content in configuration.items()
        if section != "cluster"
    }
    return json.loads(
        json.dumps({"configuration": config, "code": dict(code), "input": inputs, "given": dict(given)}, default=str)
    )


def check_same(folder: RunFolder, mine: Mapping[str, Any]) -> None:
    """Compare a run with the identity that it started with, or write that identity if the run starts now.

    Raises:
        NotTheSame: they differ; the message names the differences.
    """
    if not folder.staged.exists(IDENTITY):
        Identity(**mine).write(folder.staged, IDENTITY)
        return
    begun = json.loads(folder.staged.read_text(IDENTITY))
    # A key that the version which started the run did not know can't differ
    known = {
        name: value
        if name != "configuration"
        else {
            section: {key: each for key, each in content.items() if key in begun[name][section]}
            if isinstance(content, dict)
            else content
            for section, content in value.items()
            if section in begun[name]
        }
        for name, value in mine.items()
        if name in begun
    }
    found = [each for name in known for each in differing(name, begun[name], known[name])]
    if found:
        differences = "; ".join(found[:5])
        raise NotTheSame(
            f"run {folder.run!r} was started with a different job and can't be resumed: {differences}. Undo the change, or choose another "
            f"{folder.option} (or remove {folder.staged.url})",
            differences,
        )


def differing(name: str, begun: Any, now: Any) -> list[str]:
    """Return a phrase for each difference between two values of JSON, with the keys that lead to it.

    Args:
        name: what the values are.
        begun: the earlier value.
        now: the later one.
    """
    if begun == now:
        return []
    if isinstance(begun, dict) and isinstance(now, dict):
        return [each for key in sorted({*begun, *now}) for each in differing(f"{name} {key}", begun.get(key), now.get(key))]
    if name == "input":
        old, new = ({file["path"]: file for file in files} for files in (begun, now))
        changed = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
        return [f"{len(changed)} input files differ, {changed[0]} among them"]
    if name.startswith("given "):
        what = {
            "given frame": "its plan (sources, conditions, functions, columns)",
            "given pipeline": "a stage, or a parameter of one,",
        }.get(name, "its code, or what that refers to,")
        return [f"the {name.removeprefix('given ')} that the program hands over is another: {what} has changed"]
    return [f"{name} was {begun!r} and is {now!r}"]
