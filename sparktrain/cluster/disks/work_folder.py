"""Makes the working folder of a training process, with the user's modules and files."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from pyspark import SparkContext, SparkFiles

CODE = "sparktrain_code_"  # how the names of archives with a run's code begin, which Spark puts on every later run's path, too
# The settings for --files, the second one on YARN
_LISTS = ("spark.files", "spark.yarn.dist.files")


def submitted_files(context: SparkContext) -> tuple[str, ...]:
    """Return the names that spark-submit's --files have on the executors."""
    given = [url for key in _LISTS for url in context.getConf().get(key, "").split(",") if url]
    return tuple(dict.fromkeys(url.rpartition("#")[2].rpartition("/")[2] for url in given))


def make_work_folder(folder: Path, code: str | None, files: Sequence[str]) -> Path:
    """Make the working folder on an executor and return its path.

    Args:
        folder: the task's folder on a local disk, which the working folder is made in.
        code: the name of the archive among Spark's files, which is unpacked, so that code finds files beside itself; or None.
        files: names of Spark's files to link into the folder, unless the archive has a file of that name.
    """
    work = folder / "work"
    work.mkdir(exist_ok=True)
    if code is not None:
        with zipfile.ZipFile(SparkFiles.get(code)) as archive:
            archive.extractall(work)
    for name in files:
        there, here = Path(SparkFiles.get(name)), work / name
        if there.exists() and not here.exists():
            here.symlink_to(there.resolve())
    return work
