"""Makes the scratch folder, for runs without `output.path`, that only its user can read and write."""

from __future__ import annotations

import os
import stat

from pyspark.sql import SparkSession

from sparktrain.cluster.spark_context import jvm
from sparktrain.config import ConfigError, Problem
from sparktrain.driver.hadoop import qualified

_MINE_ALONE = 0o700


def scratch_path(user: str, name: str) -> str:
    """Return the path, on the default file system, of the scratch folder for a user's runs of a job's name."""
    return f"/tmp/sparktrain-{user}/{name}"


def scratch_folder(spark: SparkSession, name: str) -> str:
    """Make the user's scratch folder, with mode 0700, and return the URL of the folder in it for runs of a job's name.

    Its name is predictable, and its parent is writable for everybody: a folder made by another user would give that user the
    models, and the driver whatever that user puts there.

    Raises:
        ConfigError: the folder belongs to another user.
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
    """Make a local folder with mode 0700, or set that mode; return a phrase for its owner if that is another user."""
    try:
        os.mkdir(path, _MINE_ALONE)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return f"the user with id {found.st_uid}"
    os.chmod(path, _MINE_ALONE)
    return None


def _made(spark: SparkSession, url: str) -> str | None:
    hadoop = jvm(spark.sparkContext).org.apache.hadoop
    place = hadoop.fs.Path(url)
    system = place.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    mode = hadoop.fs.permission.FsPermission(f"{_MINE_ALONE:o}")
    system.mkdirs(place, mode)  # does nothing if it exists
    owner, me = system.getFileStatus(place).getOwner(), hadoop.security.UserGroupInformation.getCurrentUser().getShortUserName()
    if owner not in (me, ""):  # object stores have no owners
        return owner
    system.setPermission(place, mode)
    return None
