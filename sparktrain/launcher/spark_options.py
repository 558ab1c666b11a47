"""Parses spark-submit's own options as spark-submit does, as far as the launcher needs them, and adds to them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sparktrain.launcher.errors import CantSubmit

# spark-submit's options that stand for settings.
_SETTINGS = {
    "--master": "spark.master",
    "--remote": "spark.remote",
    "--deploy-mode": "spark.submit.deployMode",
    "--archives": "spark.archives",
    "--py-files": "spark.submit.pyFiles",
    "--files": "spark.files",
    "--executor-memory": "spark.executor.memory",
    "--executor-cores": "spark.executor.cores",
    "--principal": "spark.kerberos.principal",
}
_LISTS = ("--archives", "--py-files", "--files")
_LOAD_DEFAULTS = "--load-spark-defaults"  # reads spark-defaults.conf even with --properties-file
_WITHOUT_VALUE = {"-v", "--verbose", "-h", "--help", "--version", "--supervise", "--usage-error", _LOAD_DEFAULTS}
# Environment variables that spark-submit falls back to.
_VARIABLES = {
    "MASTER": "spark.master",
    "DEPLOY_MODE": "spark.submit.deployMode",
    "SPARK_EXECUTOR_MEMORY": "spark.executor.memory",
    "SPARK_EXECUTOR_CORES": "spark.executor.cores",
    "SPARK_REMOTE": "spark.remote",
}
_PROPERTY = re.compile(r"((?:\\.|[^\s=:\\])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class BadProperties(CantSubmit):
    """Raised where a file of properties can't be read."""


@dataclass(frozen=True)
class SparkOptions:
    """The options of a spark-submit command, completed from the properties file and the environment.

    Attributes:
        given: the options as they were typed, except for those with lists of files.
        lists: the files of `--archives`, `--py-files` and `--files`, from the option or the setting that it stands for.
        settings: Spark's settings: from the options, else `--conf`, else the properties file, else the environment.
        typed: which of the lists were given as options.
    """

    given: tuple[str, ...] = ()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    typed: frozenset[str] = frozenset()

    @property
    def master(self) -> str:
        """The URL of Spark's master."""
        return self.settings.get("spark.master", "local[*]")

    @property
    def in_cluster(self) -> bool:
        """Whether the program runs on the cluster (deploy mode `cluster`), not on the launcher's machine."""
        return self.settings.get("spark.submit.deployMode", "client") == "cluster"

    def command(self, settings: Mapping[str, str], **lists: Sequence[str]) -> tuple[str, ...]:
        """Return the options as arguments of spark-submit, with additions.

        Args:
            settings: settings to add if they aren't set yet.
            lists: files to add to `--archives`, `--py-files` and `--files`, as `archives`, `py_files` and `files`.
        """
        options = list(self.given)
        for option in _LISTS:
            more = lists.get(option[2:].replace("-", "_"), ())
            if more or option in self.typed:
                options += [option, ",".join((*self.lists.get(option, ()), *more))]
        for name, value in settings.items():
            if name not in self.settings:
                options += ["--conf", f"{name}={value}"]
        return tuple(options)


def split_options(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split spark-submit's arguments into its own options, and the program with its arguments."""
    own = [word for option in _each_option(words) for word in option]
    return tuple(own), tuple(words[len(own) :])


def _each_option(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield each of spark-submit's own options with its value, up to the first word that is no option."""
    waiting = list(words)
    while waiting and waiting[0].startswith("-"):
        alone = waiting[0] in _WITHOUT_VALUE or (waiting[0].startswith("--") and "=" in waiting[0])
        length = 1 if alone else 2
        yield waiting[:length]
        del waiting[:length]


def read_options(options: Sequence[str], conf_dir: str | None = None, environment: Mapping[str, str] = {}) -> SparkOptions:
    """Parse spark-submit's options.

    Args:
        options: the arguments before the program; parsing ends at the first that is no option.
        conf_dir: the folder of spark-defaults.conf, which `--properties-file` replaces.
        environment: the environment variables that spark-submit will run with.

    Raises:
        BadProperties: a file of properties can't be read.
    """
    given: list[str] = []
    named: dict[str, str] = {}  # the last of each option counts
    settings: dict[str, str] = {}
    properties, loads_defaults = None, False
    for typed in _each_option(options):
        option, _, value = typed[0].partition("=") if typed[0].startswith("--") else (typed[0], "", "")
        if len(typed) == 2:
            value = typed[1]
        if option not in _LISTS:
            given += typed
        if option == "--properties-file":
            properties = value
        elif option == _LOAD_DEFAULTS:
            loads_defaults = True
        elif option in ("--conf", "-c"):
            name, _, value = value.partition("=")
            settings[name] = value
        elif option in _SETTINGS:
            named[option] = value
    files = [properties] if properties is not None else []
    if conf_dir and (loads_defaults or not files):
        files.insert(0, os.path.join(conf_dir, "spark-defaults.conf"))
    found = {name: environment[variable] for variable, name in _VARIABLES.items() if environment.get(variable)}
    for file in files:
        found |= _properties(Path(file))
    found |= settings
    found = {name: value for name, value in found.items() if name.startswith("spark.")}  # spark-submit ignores all others
    found |= {_SETTINGS[option]: value for option, value in named.items()}
    lists = {option: tuple(filter(None, found.get(_SETTINGS[option], "").split(","))) for option in _LISTS}
    return SparkOptions(
        tuple(given), {option: names for option, names in lists.items() if names}, found, frozenset(named) & frozenset(_LISTS)
    )


def _properties(file: Path) -> dict[str, str]:
    """Parse a file of Java properties: name and value separated by space, `=` or `:`, with `\\` as the escape character."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError as error:
        raise BadProperties(f"Spark's settings can't be read: {error}") from error
    found = (match for line in _logical_lines(text) if (match := _PROPERTY.fullmatch(line)) is not None)  # it matches any line
    return {_unescaped(match[1]): _unescaped(match[2]).strip() for match in found}


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines without comments; a line that ends with an odd number of `\\` is joined with the next."""
    begun = ""
    for line in re.split(r"\r\n|\n|\r", text):
        line = line.lstrip(" \t\f")
        if not begun and (not line or line[0] in "#!"):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            begun += line[:-1]
            continue
        yield begun + line
        begun = ""
    if begun:
        yield begun


def _unescaped(text: str) -> str:
    def meant(escape: re.Match[str]) -> str:
        code = escape[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(meant, text)
