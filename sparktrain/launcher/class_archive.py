"""Loads Spark's classes from a class archive, with which the environment's own Spark starts in a third less time.

environment/class_archive.py writes the archive. A JVM accepts it only if its class path starts like that of the JVM that wrote
it, without non-empty folders. So the folder of Spark's configuration is left off the class path, and its files are passed as
options.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sparktrain.launcher.command_line import CommandLine
from sparktrain.launcher.spark_options import SparkOptions

ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
_DEFAULTS, _LOGGING = "spark-defaults.conf", "log4j2.properties"
_NOT_SPARKS = (".yaml", ".yml")  # files in a configuration folder that Spark doesn't read
_NOT_SPARKS_NAMES = ("discover-gpus.sh",)


def with_archive(
    line: CommandLine, options: SparkOptions, environment: Mapping[str, str], archive: Path = ARCHIVE
) -> tuple[CommandLine, dict[str, str]]:
    """Add the class archive to spark-submit's options, if there is one that Spark can use.

    Args:
        line: spark-submit's arguments.
        options: the options among them, parsed.
        environment: the environment variables that spark-submit will run with.

    Returns:
        The arguments, and the environment variables to add.
    """
    home, conf = Path(environment.get("SPARK_HOME", "")), Path(environment.get("SPARK_CONF_DIR", ""))
    absent = home / "conf"  # on the class path if no folder of configuration is set
    words = {word.partition("=")[0] for word in options.given}
    if "--load-spark-defaults" in words:  # needs the configuration folder
        return line, {}
    if not (
        options.master.startswith("local")
        and archive.is_file()
        and home.is_relative_to(archive.parent)
        and not absent.exists()
        and environment.get("SPARK_CONF_DIR")
        and _only_known(conf)
    ):
        return line, {}
    java_options = [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]  # no warning if it doesn't fit
    if (conf / _LOGGING).is_file():
        java_options.append(f"-Dlog4j2.configurationFile={conf / _LOGGING}")
    java = shlex.join(java_options)  # Spark splits it as a shell would
    more = []
    if "--properties-file" not in words and (conf / _DEFAULTS).is_file():
        more += ["--properties-file", str(conf / _DEFAULTS)]
    if "spark.executor.defaultJavaOptions" not in options.settings:
        more += ["--conf", f"spark.executor.defaultJavaOptions={java}"]
    own = environment.get("SPARK_SUBMIT_OPTS", "")
    return replace(line, options=(*more, *line.options)), {
        "SPARK_CONF_DIR": str(absent),
        "SPARK_SUBMIT_OPTS": f"{java} {own}".strip(),
    }


def _only_known(conf: Path) -> bool:
    """Return whether all of a folder's files can be passed as options: no hive-site.xml, no spark-env.sh."""
    names = {path.name for path in conf.iterdir() if path.suffix not in _NOT_SPARKS} if conf.is_dir() else set()
    return names <= {_DEFAULTS, _LOGGING, *_NOT_SPARKS_NAMES}
