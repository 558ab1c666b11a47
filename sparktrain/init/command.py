"""Implement `sparktrain init`: look at the rows, choose, write the job, say what was chosen and what to do next."""

from __future__ import annotations

import difflib
import getpass
import os
import re
import shlex
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from sparktrain.config import Training
from sparktrain.display.next_command import training_command
from sparktrain.init import templates
from sparktrain.init.choices import Choices, InitError, choose
from sparktrain.init.looking import Look, look
from sparktrain.interfaces.engines import ENGINES
from sparktrain.storage.urls import parse

_SHOWN = 8  # names of one kind


def init(path: str, label: str, engine: str | None, to: str | None, format: str | None, tell: Callable[[str], object]) -> None:
    """Write a job that trains on the rows at a path.

    Args:
        path: of the rows.
        label: the column to be predicted.
        engine: of the job; by default the first of horovod, tensorflowonspark and single that is installed.
        to: FOLDER/NAME of the job; by default the data's name, in the current folder.
        format: of the rows' files, where they don't tell.
        tell: shows the user a line.

    Raises:
        InitError: no job can be written: why, and what to do.
        StorageError: the storage doesn't answer, or refuses.
        OSError: a file can't be written.
    """
    engines = get_args(Training.model_fields["engine"].annotation)
    if engine is not None and engine not in engines:
        close = difflib.get_close_matches(engine, engines, n=1)
        raise InitError(
            f"--engine {engine}: expected one of {', '.join(engines)}" + (f". Did you mean {close[0]}?" if close else "")
        )
    folder, name = _place(path, to)
    files = [folder / f"{name}.yaml", folder / f"{name}.py"]
    for file in files:
        if file.exists():
            another = shlex.quote(str(folder / f"{name}2"))
            raise InitError(f"{file} is there already, and nothing is replaced. Name another job: --to {another}")
    seen = look(path, label, format, tell)
    choices = choose(seen.rows, label, seen.labels)
    engine = engine or _installed_engine()
    job = templates.yaml(choices, seen, name, _output(seen.url, name, folder), engine)
    texts = [job, templates.python(choices, seen.url)]
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in zip(files, texts):
        with open(file, "x", encoding="utf-8") as target:
            target.write(text)
    for line in report(choices, seen, [str(_shown(file)) for file in files]):
        tell(line)


def report(choices: Choices, seen: Look, files: list[str]) -> list[str]:
    """Return the text that says what was seen, chosen and written, and what the next command is."""
    found = f" in {seen.files} file{'s' if seen.files != 1 else ''}" if seen.files is not None else ""
    target = choices.target
    task = {
        "binary": "a classification, of two classes",
        "classes": f"a classification, of {target.outputs} classes",
        "regression": "a regression",
    }[target.task]
    order = ""
    if target.classes is not None:
        named = ", ".join(map(str, target.classes[:_SHOWN])) + (", …" if len(target.classes) > _SHOWN else "")
        order = f". Classes: {named}" + ("; the model says how likely the second is" if target.task == "binary" else "")
    lines = [
        f"Looked at {seen.rows.num_rows:,} rows of {seen.url} ({seen.format}{found}).",
        f"  label     {target.column}: {target.why}, so {task}{order}",
    ]
    numbers = [each.column for each in choices.features if each.kind == "number"]
    if numbers:
        shown = ", ".join(numbers[:_SHOWN]) + (f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else "")
        lines.append(f"  takes     {shown}: numbers, scaled by what is usual")
    lines += [f"  takes     {each.column}: {each.why}" for each in choices.features if each.kind != "number"]
    lines += [f"  leaves    {column}: {why}" for column, why in choices.left_out.items()]
    return [
        *lines,
        f"Wrote {files[0]}, the job, and {files[1]}, its preparation and its model: both are yours to change.",
        f"Take out of `features` what is known only after `{target.column}` is.",
        "Next, rehearse it: one step on a few rows, in about a minute.",
        f"  {training_command(['--config', files[0], '--check'])}",
    ]


def _place(path: str, to: str | None) -> tuple[Path, str]:
    """Return the folder and the name of the job; the name is that of a Python module, too."""
    wanted = Path(to).name if to is not None else re.sub(r"\.\w+$", "", Path(parse(path).path).name)
    folder = Path(to).parent if to is not None else Path()
    if to is not None and (not to.strip() or to.endswith("/") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", wanted)):
        likely = Path(to, "mine") if to.endswith("/") else folder / (_identifier(wanted) or "mine")
        raise InitError(
            f"--to {to}: its last part names the job and its module of Python. Expected a letter, then letters, digits "
            f"and _: --to {shlex.quote(str(likely))}"
        )
    name = wanted if to is not None else _identifier(wanted) or "mine"
    if name in sys.builtin_module_names or (find_spec(name) is not None and not (folder / f"{name}.py").exists()):
        if to is not None:
            raise InitError(
                f"--to {to}: Python has a module {name!r} already, which {name}.py would hide. Choose another name: "
                f"--to {shlex.quote(str(folder / f'{name}_job'))}"
            )
        name += "_job"
    return folder, name


def _identifier(text: str) -> str:
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    return f"job_{name}" if name[:1].isdigit() else name


def _installed_engine() -> str:
    return next(
        (engine.name for engine in ENGINES.values() if engine.packages and all(map(find_spec, engine.packages))), "single"
    )


def _output(url: str, name: str, folder: Path) -> str:
    """Return where models are written: on the rows' storage, where the user may write."""
    place = parse(url)
    if place.scheme == "file":
        return f"file://{folder.resolve()}/models/{name}"
    home = f"/user/{os.environ.get('HADOOP_USER_NAME') or getpass.getuser()}" if place.scheme in ("hdfs", "viewfs") else ""
    return f"{place.scheme}://{place.authority}{home}/models/{name}"


def _shown(file: Path) -> Path:
    """Return a file's path, relative to the working folder if it is below it."""
    return file.resolve().relative_to(Path.cwd()) if file.resolve().is_relative_to(Path.cwd()) else file.resolve()
