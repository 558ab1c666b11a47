"""The scratch folder: where a run without `output.path` goes, which nobody else may read or write."""

from __future__ import annotations

import os
import stat

from pyspark.sql import SparkSession

from sparktrain.cluster.spark_context import jvm
from sparktrain.config import ConfigError, Problem
from sparktrain.driver.hadoop import qualified

_MINE_ALONE = 0o700


def scratch_path(user: str, name: str) -> str:
    """The path, on the default file system, of the folder that runs of a name go to."""
    return f"/tmp/sparktrain-{user}/{name}"


def scratch_folder(spark: SparkSession, name: str) -> str:
    """Make the user's scratch folder, with mode 0700, and return the URL of the folder in it for runs of a name.

    Its name can be foreseen, and anybody may write beside it: a folder that another user has made would give him the models,
    and would give the driver what he puts there.

    Raises:
        ConfigError: it belongs to another user.
    """
    url = qualified(spark, scratch_path(spark.sparkContext.sparkUser(), name))
    folder = url.rpartition("/")[0]
    owner = _made_on_this_machine(folder.removeprefix("file://")) if folder.startswith("file://") else _made(spark, folder)
    if owner is not None:
        raise ConfigError(
            [
                Problem(
                    "output.path",
                    f"nothing came, and the scratch folder {folder} belongs to {owner}",
                    "a folder of your own",
                    "set output.path",
                )
            ]
        )
    return url


def _made_on_this_machine(path: str) -> str | None:
    """Make a local folder, or take it for the user alone; the owner where that is another user."""
    try:
        os.mkdir(path, _MINE_ALONE)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return f"the user with the number {found.st_uid}"
    os.chmod(path, _MINE_ALONE)
    return None


def _made(spark: SparkSession, url: str) -> str | None:
    hadoop = jvm(spark.sparkContext).org.apache.hadoop
    place = hadoop.fs.Path(url)
    system = place.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    mode = hadoop.fs.permission.FsPermission(f"{_MINE_ALONE:o}")
    system.mkdirs(place, mode)  # one that is there stays as it is
    owner, me = system.getFileStatus(place).getOwner(), hadoop.security.UserGroupInformation.getCurrentUser().getShortUserName()
    if owner not in (me, ""):  # object stores know no owners
        return owner
    system.setPermission(place, mode)
    return None
