"""spark-submit's own options, as far as the launcher has to know them and add to them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Sequence

# spark-submit's long names for what are settings.
_SETTINGS = {
    "--master": "spark.master",
    "--deploy-mode": "spark.submit.deployMode",
    "--archives": "spark.archives",
    "--py-files": "spark.submit.pyFiles",
    "--files": "spark.files",
    "--executor-memory": "spark.executor.memory",
}
_LISTS = ("--archives", "--py-files", "--files")
_WITHOUT_VALUE = {"-v", "--verbose", "-h", "--help", "--version", "--supervise", "--usage-error"}


@dataclass(frozen=True)
class SparkOptions:
    """What a spark-submit command says before its program, and what the properties file says where it doesn't.

    Attributes:
        given: the options as they were typed, but for those that name lists.
        lists: `--archives`, `--py-files` and `--files`, each with what it names.
        settings: Spark's settings, from options and file, the options first.
    """

    given: tuple[str, ...] = ()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def master(self) -> str:
        return self.settings.get("spark.master", "local[*]")

    @property
    def in_cluster(self) -> bool:
        """Whether the program runs on the cluster, and not beside the launcher."""
        return self.settings.get("spark.submit.deployMode", "client") == "cluster"

    def command(self, settings: Mapping[str, str], **lists: Sequence[str]) -> list[str]:
        """The options again, with more.

        Args:
            settings: added where nothing has said them yet.
            lists: more for `--archives`, `--py-files` and `--files`, by `archives`, `py_files` and `files`.
        """
        options = list(self.given)
        for option in _LISTS:
            more = (*self.lists.get(option, ()), *lists.get(option[2:].replace("-", "_"), ()))
            if more:
                options += [option, ",".join(more)]
        for name, value in settings.items():
            if name not in self.settings:
                options += ["--conf", f"{name}={value}"]
        return options


def read_options(options: Sequence[str], conf_dir: str | None = None) -> SparkOptions:
    """Read spark-submit's options.

    Args:
        options: what stands before the program.
        conf_dir: where spark-defaults.conf is, unless `--properties-file` names another file.
    """
    given: list[str] = []
    lists: dict[str, tuple[str, ...]] = {}
    settings: dict[str, str] = {}
    properties = os.path.join(conf_dir, "spark-defaults.conf") if conf_dir else None
    waiting = list(options)
    while waiting:
        typed = [waiting.pop(0)]
        option, equals, value = typed[0].partition("=") if typed[0].startswith("--") else (typed[0], "", "")
        if not equals and option not in _WITHOUT_VALUE and waiting:
            value = waiting.pop(0)
            typed.append(value)
        if option in _LISTS:
            lists[option] = (*lists.get(option, ()), *filter(None, value.split(",")))
        else:
            given += typed
        if option == "--properties-file":
            properties = value
        elif option in ("--conf", "-c"):
            name, _, value = value.partition("=")
            settings[name] = value
        elif option in _SETTINGS:
            settings[_SETTINGS[option]] = value
    return SparkOptions(tuple(given), lists, {**_properties(properties), **settings})


def _properties(path: str | None) -> dict[str, str]:
    """A file of Java properties, as spark-defaults.conf is written: name and value with space, = or : between."""
    if path is None or not Path(path).is_file():
        return {}
    settings = {}
    for line in Path(path).read_text().splitlines():
        line = line.strip()
        if line and line[0] not in "#!":
            name = line.split("=", 1)[0].split(":", 1)[0].split(None, 1)[0]
            settings[name] = line[len(name):].lstrip(" \t=:").rstrip()
    return settings
