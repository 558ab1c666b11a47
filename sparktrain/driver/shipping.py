"""Ships the user's code to the executors as one zip."""

from __future__ import annotations

import atexit
import hashlib
import logging
import shutil
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pyspark import SparkContext

from sparktrain.cluster.disks.work_folder import CODE
from sparktrain.usercode.packing import content, pack

_log = logging.getLogger(__name__)
_SHIPPING = threading.Lock()


@cache
def _archives() -> Path:
    """Return this process's folder for zips, made once; Spark serves them to executors until the application ends."""
    folder = Path(tempfile.mkdtemp(prefix="sparktrain-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class Shipped:
    """The user's files that were shipped to the executors.

    Attributes:
        digests: the SHA-256 of each file, by its name in the zip.
        archive: the zip's name among Spark's files; None if there was nothing to ship.
    """

    digests: dict[str, str] = field(default_factory=dict)
    archive: str | None = None


def ship(context: SparkContext, modules: Iterable[str], folders: Sequence[str], files: Iterable[str] = ()) -> Shipped:
    """Ship modules, the user's modules that they import, and data files to every executor.

    Args:
        modules: names of the user's modules.
        folders: where they are looked up.
        files: paths of data files, as in `model.files`.

    Raises:
        ConfigError: a data file can't be found.
        TooLarge: the files have more than 64 MiB together.
    """
    found = content(modules, folders, files)
    if not found:
        return Shipped()
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in found.items()}
    whole = hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()[:12]
    # Spark accepts a file of a known name again only from the same path.
    with _SHIPPING:  # runs side by side may ship the same files
        archive = _archives() / f"{CODE}{whole}.zip"
        if not archive.exists():
            pack(archive.with_suffix(".part"), found)
            archive.with_suffix(".part").rename(archive)
        context.addPyFile(str(archive))
    _log.info("shipped to the executors: %s", ", ".join(sorted(found)))
    return Shipped(digests, archive.name)
