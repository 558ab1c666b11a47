"""The working folder of a training process: the user's modules unpacked, and his files beside them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from pyspark import SparkContext, SparkFiles

# --files, but on YARN, and there
_LISTS = ("spark.files", "spark.yarn.dist.files")


def submitted_files(context: SparkContext) -> tuple[str, ...]:
    """The names under which spark-submit's --files are on the executors."""
    given = [url for key in _LISTS for url in context.getConf().get(key, "").split(",") if url]
    return tuple(dict.fromkeys(url.rpartition("#")[2].rpartition("/")[2] for url in given))


def make_work_folder(folder: Path, code: str | None, files: Sequence[str]) -> Path:
    """Make the folder, on an executor.

    Args:
        folder: of the task, on one of the local disks; removed with it.
        code: the archive's name among Spark's files; what is in it is unpacked, so that code finds files beside itself.
        files: of Spark's files, linked into the folder where nothing of that name is unpacked.
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
