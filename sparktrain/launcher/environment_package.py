"""`sparktrain package`: the environment and Spark's jars on the storage, once for a set of versions.

Then no node needs more than Java and the same Python, and no submit uploads either of them again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import secrets
import site
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from sparktrain.launcher.spark_home import package_folder
from sparktrain.storage import SUMMARY, Folder, NotFound, StorageError, open_folder

ENVIRONMENT, JARS = "environment.tar.gz", "spark-jars.zip"
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_ONLY_HERE = ("docs", "java", "lint", "notebook", "test")  # extras: nodes bring their Java
_STAGED = "_staged"
_LEFTOVER = 86_400  # seconds
_LEFT_OUT = {"include", "tests"}  # which a compiler reads, and which nobody does there


class NotPackaged(RuntimeError):
    """There is no package of the environment's versions; the message says how to make one."""


def package(to: str, tell: Callable[[str], None]) -> str:
    """Pack what the executors need, unless it is there already.

    Args:
        to: a folder for packages of all versions, on a storage that every node reaches.
        tell: told what is being done.

    Returns:
        The URL of the package: a folder with environment.tar.gz, spark-jars.zip and, complete or not there, summary.json.

    Raises:
        StorageError: it can't be written.
    """
    root, distributions, name = open_folder(to), _distributions(), package_name()
    if root.exists(f"{name}/{SUMMARY}"):
        tell(f"{root.join(name).url} is there already, with these versions")
        return root.join(name).url
    for each in distributions:
        if each.metadata["Name"] != "sparktrain" and _is_editable(each):
            tell(f"{each.metadata['Name']} is installed as editable, so its code stays out of the package: install it without -e")
    _remove_leftovers(root)
    staged = root.join(_STAGED, f"{name}-{time.time():.0f}-{secrets.token_hex(4)}")  # another may be packing the same
    try:
        with tempfile.TemporaryDirectory(prefix="sparktrain-package-") as folder:
            for file, make in ((ENVIRONMENT, _pack_environment), (JARS, _pack_jars)):
                tell(f"packing {file} ...")
                local = Path(folder, file)
                make(local, distributions)
                tell(f"writing {file}, {local.stat().st_size / 1e6:,.0f} MB ...")
                staged.upload(str(local), file)
                local.unlink()
        versions = {each.metadata["Name"]: each.version for each in distributions}
        staged.write_text(SUMMARY, json.dumps({"python": platform.python_version(), "versions": versions}, indent=1) + "\n")
        try:
            root.publish(staged.url.removeprefix(f"{root.url}/"), name)
        except StorageError:
            if not root.exists(f"{name}/{SUMMARY}"):
                raise
            tell("another has written the same package meanwhile")
    finally:
        staged.remove(recursive=True)
    return root.join(name).url


def _remove_leftovers(root: Folder) -> None:
    """Remove what those have left that were killed a day ago and longer."""
    try:
        names = root.join(_STAGED).list()
    except NotFound:
        return
    for each in names:
        since = each.split("-")[-2:-1]
        if since and since[0].isdigit() and time.time() - int(since[0]) > _LEFTOVER:
            root.remove(f"{_STAGED}/{each}", recursive=True)


def packaged(at: str) -> Folder:
    """The package of this environment's versions in a folder of packages.

    Raises:
        NotPackaged: there is none.
    """
    root, name = open_folder(at), package_name()
    if not root.exists(f"{name}/{SUMMARY}"):
        raise NotPackaged(
            f"{root.url} has no package {name}, of the versions that this environment has: make it by\n"
            f"    sparktrain package --to {at}\n"
            "once, and again when versions change; or leave spark.sparktrain.packages out where every node has the "
            "environment at the same path"
        )
    return root.join(name)


def package_name() -> str:
    """Made of what is in the package, but for sparktrain's own code, which goes with each submit."""
    versions = [f"{each.metadata['Name']}=={each.version}" for each in _distributions() if each.metadata["Name"] != "sparktrain"]
    core = next((jar.name for jar in spark_jars().glob("spark-core_*.jar")), "")  # of SPARK_HOME's, where it is set
    made_of = "\n".join([platform.python_version(), platform.machine(), core, *versions])
    return f"{_PYTHON}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


def own_code(folder: Path) -> Path:
    """sparktrain itself as a zip in the folder: a wheel in all but its name's end, as Spark takes no other."""
    distribution = importlib.metadata.distribution("sparktrain")
    target = folder / f"sparktrain-{distribution.version}.zip"
    source = package_folder("sparktrain")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, Path("sparktrain", file.relative_to(source)))
        # So that its version is known there, too. An egg-info beside the sources has it by another name.
        metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
        assert metadata is not None  # an installed distribution has one of the two
        archive.writestr(f"sparktrain-{distribution.version}.dist-info/METADATA", metadata)
    return target


def _distributions() -> list[importlib.metadata.Distribution]:
    """What is installed here, the user's own packages too, but for what only tests, notebooks and pip need; by name."""
    needed = _with_what_they_need([("sparktrain", ("", *_extras()))])
    not_there = set(_with_what_they_need([("sparktrain", _ONLY_HERE), ("pip", ("",)), ("wheel", ("",))])) - set(needed)
    sites = {Path(path).resolve() for path in site.getsitepackages()}
    own = [_name(each) for each in importlib.metadata.distributions() if Path(str(each.locate_file(""))).resolve() in sites]
    found = needed | _with_what_they_need([(name, ("",)) for name in own if name not in not_there])
    return [found[name] for name in sorted(found)]


def _with_what_they_need(wanted: list[tuple[str, tuple[str, ...]]]) -> dict[str, importlib.metadata.Distribution]:
    """Distributions, each with some of its extras, and all that they need, as far as it is installed."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting, seen = list(wanted), set()
    while waiting:
        asked = waiting.pop()
        name, extras = asked
        if asked in seen:
            continue
        seen.add(asked)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that isn't installed: a job that needs it fails as it does here
        found[_name(distribution)] = distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append((requirement.name, ("", *sorted(requirement.extras))))
    return found


def _name(distribution: importlib.metadata.Distribution) -> str:
    return distribution.metadata["Name"].lower().replace("_", "-")


def _is_editable(distribution: importlib.metadata.Distribution) -> bool:
    origin = distribution.read_text("direct_url.json")  # which pip writes for what came from a folder
    return origin is not None and json.loads(origin).get("dir_info", {}).get("editable", False)


def _extras() -> list[str]:
    extras = importlib.metadata.metadata("sparktrain").get_all("Provides-Extra") or []
    return [extra for extra in extras if extra not in _ONLY_HERE]


def _pack_environment(target: Path, distributions: list[importlib.metadata.Distribution]) -> None:
    """A virtual environment that works wherever it is unpacked: its interpreter is the node's."""
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        for link, to in (("bin/python", os.path.realpath(sys.executable)), (f"bin/{_PYTHON}", "python")):
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, to
            archive.addfile(entry)
        settings = f"home = {Path(sys.base_prefix, 'bin')}\ninclude-system-site-packages = false\n".encode()
        entry = tarfile.TarInfo("pyvenv.cfg")
        entry.size = len(settings)
        archive.addfile(entry, io.BytesIO(settings))
        for distribution in distributions:
            for file, name in _files(distribution):
                archive.add(file, f"lib/{_PYTHON}/site-packages/{name}", recursive=False)


def _files(distribution: importlib.metadata.Distribution) -> Iterator[tuple[Path, str]]:
    """What a distribution has put among the packages; of pyspark and of sparktrain only their names and versions."""
    for file in distribution.files or ():
        if file.parts[0].startswith("sparktrain") or file.parts[0] in ("pyspark", "..") or _LEFT_OUT & set(file.parts):
            continue  # Spark brings pyspark, and scripts have this environment's path in them
        path = Path(file.locate())
        if path.is_file() and not file.parts[0].startswith("__editable__"):
            yield path, str(file)


def _pack_jars(target: Path, distributions: list[importlib.metadata.Distribution]) -> None:
    """Spark's jars as spark.yarn.archive wants them."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # jars are compressed already
        for jar in sorted(spark_jars().glob("*.jar")):
            archive.write(jar, jar.name)


def spark_jars() -> Path:
    """The folder of Spark's jars: SPARK_HOME's where that is set, else pyspark's own."""
    home = os.environ.get("SPARK_HOME") or package_folder("pyspark")
    return Path(home, "jars")
