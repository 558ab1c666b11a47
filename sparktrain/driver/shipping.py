"""Ships the user's code to the executors as one zip."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pyspark import SparkContext

from sparktrain.usercode.packing import content, pack


@cache
def _archives() -> Path:
    """This process's folder of zips; Spark serves them to the executors until the application ends."""
    folder = Path(tempfile.mkdtemp(prefix="sparktrain-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class Shipped:
    """What was handed to the executors.

    Attributes:
        digests: the SHA-256 of each file, by its name in the zip.
        archive: the zip's name among Spark's files; None where nothing was to be shipped.
    """

    digests: dict[str, str] = field(default_factory=dict)
    archive: str | None = None


def ship(context: SparkContext, modules: Iterable[str], folders: Sequence[str], files: Iterable[str] = ()) -> Shipped:
    """Hand the modules and what they need of the user's own to every executor, and data files with them.

    Raises:
        ConfigError: a data file is nowhere.
        TooLarge: they hold more than 64 MiB.
    """
    found = content(modules, folders, files)
    if not found:
        return Shipped()
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in found.items()}
    whole = hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()[:12]
    # Spark takes a file of a known name again only from the same place.
    archive = _archives() / f"sparktrain_code_{whole}.zip"
    pack(archive, found)
    context.addPyFile(str(archive))
    return Shipped(digests, archive.name)
