"""Packs the user's modules and files, and what they import from the user's own folders, into one zip."""

from __future__ import annotations

import ast
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

from sparktrain.config import ConfigError, Problem
from sparktrain.usercode.syntax_tree import parse

_LARGEST = 64 << 20  # bytes; more is data, and belongs on the storage
_INSTALLED = ("site-packages", "dist-packages")


class TooLarge(ValueError):
    """Raised where the user's modules and files are too large to be shipped."""


def own_modules(modules: Iterable[str], folders: Sequence[str]) -> dict[str, Path]:
    """Return the user's top-level modules and packages that the given modules need, including themselves.

    Imports are read from the source, also those inside functions, so that nothing is imported.

    Args:
        modules: names such as `jobs.flights`.
        folders: the folders of the user's code; installed packages are on the executors already.

    Returns:
        The file or folder of each top-level name.
    """
    found: dict[str, Path] = {}
    waiting = [name.split(".")[0] for name in modules]
    while waiting:
        name = waiting.pop()
        if name in found or name == "sparktrain" or name in sys.stdlib_module_names:
            continue
        path = _own_path(name, folders)
        if path is None:
            continue
        found[name] = path
        for file in [path] if path.is_file() else _python_files(path):
            state = file.stat()
            waiting.extend(_imports(file, state.st_mtime_ns, state.st_size))
    return found


def _own_path(name: str, folders: Sequence[str]) -> Path | None:
    spec = PathFinder.find_spec(name, list(folders))
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        path = Path(next(iter(spec.submodule_search_locations)))
    elif spec.origin is not None and spec.origin.endswith(".py"):
        path = Path(spec.origin)
    else:
        return None
    # A zip on PYTHONPATH was put there by Spark (--py-files), on the executors, too.
    return None if any(part in _INSTALLED for part in path.parts) or not path.exists() else path


def _python_files(folder: Path) -> Iterator[Path]:
    return (file for file in _files(folder) if file.suffix == ".py")


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


@lru_cache(maxsize=10_000)
def _imports(file: Path, _changed: int, _size: int) -> frozenset[str]:
    """Return the top-level names that a file imports; each run of an application asks again, and parsing takes milliseconds."""
    try:
        tree = parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError):
        return frozenset()  # a file that can't be parsed can't be imported either
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            found.add(node.module.split(".")[0])
    return frozenset(found)


def data_files(paths: Iterable[str], folders: Sequence[str]) -> dict[str, Path]:
    """Return the files that `model.files` names, by their names in the zip: the path as written, or its last part if it is
    absolute or has `..`.

    Raises:
        ConfigError: a file can't be found.
    """
    found, missing = {}, []
    for path in paths:
        name = path if not os.path.isabs(path) and ".." not in Path(path).parts else Path(path).name
        # For a driver on the cluster, an absolute path of the submitting machine has been packed by its name
        places = [Path(folder, each) for each in dict.fromkeys((path, name)) for folder in folders]
        place = next((each for each in places if each.exists()), None)
        if place is None:
            missing.append(
                Problem("model.files", f"{path} is not there", "a file or a folder", f"looked in {', '.join(folders)}")
            )
            continue
        for file in [place] if place.is_file() else _files(place):
            found[os.path.normpath(Path(name, file.relative_to(place)))] = file
    if missing:
        raise ConfigError(missing)
    return found


def content(modules: Iterable[str], folders: Sequence[str], files: Iterable[str] = ()) -> dict[str, Path]:
    """Return the files of the user's modules, of those they import, and the data files, by their names in the zip.

    Raises:
        ConfigError: a data file can't be found.
        TooLarge: the files have more than 64 MiB together.
    """
    found = data_files(files, folders)
    for path in own_modules(modules, folders).values():
        for file in [path] if path.is_file() else _files(path):
            found[str(file.relative_to(path.parent))] = file
    size = sum(file.stat().st_size for file in found.values())
    if size > _LARGEST:
        largest = max(found.values(), key=lambda file: file.stat().st_size)
        raise TooLarge(
            f"the modules {', '.join(sorted(modules))}, the modules they import and model.files have {size / 1e6:.0f} MB; at most "
            f"{_LARGEST / 1e6:.0f} MB are shipped (the largest file is {largest}): move data to the storage"
        )
    return found


def pack(target: Path, files: Mapping[str, Path]) -> None:
    """Write files into a zip, under the given names."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted({str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}):
            archive.mkdir(folder)  # a package without __init__.py is found in a zip only by its folder's entry
        for name, file in sorted(files.items()):
            archive.write(file, name)
