"""Implements `sparktrain init`: reads some rows, chooses features and task, writes the job, and reports what it chose."""

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
from sparktrain.display.figures import counted
from sparktrain.display.next_command import training_command
from sparktrain.init import templates
from sparktrain.init.choices import Choices, InitError, choose
from sparktrain.init.data_sample import DataSample, read_sample
from sparktrain.interfaces.engines import ENGINES
from sparktrain.storage.urls import parse

_SHOWN = 8  # names that a line of the report lists


def init(path: str, label: str, engine: str | None, to: str | None, format: str | None, show: Callable[[str], object]) -> None:
    """Write a job that trains on the rows at a path: its YAML, and a Python module with its preparation and its model.

    Args:
        path: a file, folder or pattern with the rows, as a URL or as a path on this machine.
        label: the column to predict.
        engine: the job's engine; by default the first of `ENGINES` whose packages are installed, or single.
        to: FOLDER/NAME of the job; by default named after the data, in the current folder.
        format: the format of the files; by default recognised by their content and names.
        show: called with each line for the user.

    Raises:
        InitError: no job can be written; the message says why and what to do.
        StorageError: the storage fails or denies access.
        OSError: a file can't be written.
    """
    engines = get_args(Training.model_fields["engine"].annotation)
    if engine is not None and engine not in engines:
        close = difflib.get_close_matches(engine, engines, n=1)
        raise InitError(
            f"--engine {engine}: expected one of {', '.join(engines)}" + (f". Did you mean {close[0]}?" if close else "")
        )
    folder, name = _job_name(path, to)
    files = [folder / f"{name}.yaml", folder / f"{name}.py"]
    for file in files:
        if file.exists():
            another = shlex.quote(str(folder / f"{name}2"))
            raise InitError(f"{file} exists already and is not replaced. Choose another name for the job: --to {another}")
    sample = read_sample(path, label, format, show)
    choices = choose(sample.rows, label, sample.labels)
    engine = engine or _installed_engine()
    job = templates.yaml(choices, sample, name, _output(sample.url, name, folder), engine)
    texts = [job, templates.python(choices, sample.url)]
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in zip(files, texts):
        with open(file, "x", encoding="utf-8") as target:
            target.write(text)
    for line in report(choices, sample, [str(_shown(file)) for file in files]):
        show(line)


def report(choices: Choices, sample: DataSample, files: list[str]) -> list[str]:
    """Return the lines that tell the user what was read, chosen and written, and the next command.

    Args:
        files: the paths of the YAML and of the Python module.
    """
    found = f" in {counted(sample.files, 'file')}" if sample.files is not None else ""
    target = choices.target
    task = {
        "binary": "a classification with two classes",
        "classes": f"a classification with {target.outputs} classes",
        "regression": "a regression",
    }[target.task]
    order = ""
    if target.classes is not None:
        names = ", ".join(map(str, target.classes[:_SHOWN])) + (", …" if len(target.classes) > _SHOWN else "")
        order = f". Classes: {names}" + ("; the model predicts the probability of the second" if target.task == "binary" else "")
    lines = [
        f"Read {counted(sample.rows.num_rows, 'row')} of {sample.url} ({sample.format}{found}).",
        f"  label     {target.column}: {target.why}, so {task}{order}",
    ]
    numbers = [feature.column for feature in choices.features if feature.kind == "number"]
    if numbers:
        shown = ", ".join(numbers[:_SHOWN]) + (f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else "")
        lines.append(f"  feature   {shown}: numbers, scaled by their mean and standard deviation")
    lines += [f"  feature   {feature.column}: {feature.why}" for feature in choices.features if feature.kind != "number"]
    lines += [f"  left out  {column}: {why}" for column, why in choices.left_out.items()]
    return [
        *lines,
        f"Wrote the job to {files[0]}, and its preparation and model to {files[1]}: both are yours to change.",
        f"Remove from `features` every column whose value is known only after `{target.column}` is.",
        "Next, rehearse the job: one step on a few rows, in about a minute.",
        f"  {training_command(['--config', files[0], '--check'])}",
    ]


def _job_name(path: str, to: str | None) -> tuple[Path, str]:
    """Return the job's folder and its name, which is also the name of its Python module."""
    wanted = Path(to).name if to is not None else re.sub(r"\.\w+$", "", Path(parse(path).path).name)
    folder = Path(to).parent if to is not None else Path()
    if to is not None and (not to.strip() or to.endswith("/") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", wanted)):
        likely = Path(to, "mine") if to.endswith("/") else folder / (_identifier(wanted) or "mine")
        raise InitError(
            f"--to {to}: its last part is the name of the job and of its Python module. Expected a letter followed by letters, "
            f"digits and _, for instance --to {shlex.quote(str(likely))}"
        )
    name = wanted if to is not None else _identifier(wanted) or "mine"
    if name in sys.builtin_module_names or (find_spec(name) is not None and not (folder / f"{name}.py").exists()):
        if to is not None:
            raise InitError(
                f"--to {to}: Python has a module {name!r} already, which {name}.py would hide. Choose another name, for instance "
                f"--to {shlex.quote(str(folder / f'{name}_job'))}"
            )
        name += "_job"
    return folder, name


def _identifier(text: str) -> str:
    """Return a text as a Python identifier in lower case; empty if it has no letter and no digit."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    return f"job_{name}" if name[:1].isdigit() else name


def _installed_engine() -> str:
    return next(
        (engine.name for engine in ENGINES.values() if engine.packages and all(map(find_spec, engine.packages))), "single"
    )


def _output(url: str, name: str, folder: Path) -> str:
    """Return the URL for the job's models: on the storage of the rows, in a folder that the user may write to."""
    location = parse(url)
    if location.scheme == "file":
        return f"file://{folder.resolve()}/models/{name}"
    home = f"/user/{os.environ.get('HADOOP_USER_NAME') or getpass.getuser()}" if location.scheme in ("hdfs", "viewfs") else ""
    return f"{location.scheme}://{location.authority}{home}/models/{name}"


def _shown(file: Path) -> Path:
    """Return a file's path as shown to the user: relative to the current folder if it is below that."""
    return file.resolve().relative_to(Path.cwd()) if file.resolve().is_relative_to(Path.cwd()) else file.resolve()
