"""Spark's classes from an archive: a start on one machine by the environment's own Spark takes a third less time.

environment/class_archive.py writes the archive. A JVM takes it only where its class path begins as that of the JVM that wrote
it, and never with a folder that holds something. So the folder of Spark's configuration is left out of the class path, and what
is in it is named by options.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sparktrain.launcher.spark_options import SparkOptions

ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
_DEFAULTS, _LOGGING = "spark-defaults.conf", "log4j2.properties"
_NOT_SPARKS = (".yaml", ".yml")  # of a folder of configuration: what Spark doesn't look for
_NOT_SPARKS_NAMES = ("discover-gpus.sh",)


def with_archive(
    command: Sequence[str], options: SparkOptions, environment: Mapping[str, str], archive: Path = ARCHIVE
) -> tuple[list[str], dict[str, str]]:
    """A spark-submit command with the archive, where there is one that it can use.

    Args:
        command: spark-submit and its arguments.
        options: what they say.
        environment: that it is to run in.

    Returns:
        The command, and what is new in the environment.
    """
    home, conf = Path(environment.get("SPARK_HOME", "")), Path(environment.get("SPARK_CONF_DIR", ""))
    absent = home / "conf"  # on the class path where no folder of configuration is named
    words = {word.partition("=")[0] for word in options.given}
    if "--load-spark-defaults" in words:  # which looks for that folder
        return list(command), {}
    if not (
        options.master.startswith("local")
        and archive.is_file()
        and home.is_relative_to(archive.parent)
        and not absent.exists()
        and environment.get("SPARK_CONF_DIR")
        and _only_known(conf)
    ):
        return list(command), {}
    java_options = [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]  # of no use: not worth a word
    if (conf / _LOGGING).is_file():
        java_options.append(f"-Dlog4j2.configurationFile={conf / _LOGGING}")
    java = shlex.join(java_options)  # Spark takes it apart as a shell would
    more = []
    if "--properties-file" not in words and (conf / _DEFAULTS).is_file():
        more += ["--properties-file", str(conf / _DEFAULTS)]
    if "spark.executor.defaultJavaOptions" not in options.settings:
        more += ["--conf", f"spark.executor.defaultJavaOptions={java}"]
    own = environment.get("SPARK_SUBMIT_OPTS", "")
    return [command[0], *more, *command[1:]], {"SPARK_CONF_DIR": str(absent), "SPARK_SUBMIT_OPTS": f"{java} {own}".strip()}


def _only_known(conf: Path) -> bool:
    """Whether a folder holds no more than can be named by options: no hive-site.xml, no spark-env.sh."""
    names = {path.name for path in conf.iterdir() if path.suffix not in _NOT_SPARKS} if conf.is_dir() else set()
    return names <= {_DEFAULTS, _LOGGING, *_NOT_SPARKS_NAMES}
