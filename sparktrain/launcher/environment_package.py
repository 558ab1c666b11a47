"""`sparktrain package`: puts the environment and Spark's jars on the storage, once for each set of versions.

Nodes then need only Java and the same Python, and no submit uploads the packages again.
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

from sparktrain.launcher.errors import CantSubmit
from sparktrain.launcher.spark_home import package_folder
from sparktrain.storage import SUMMARY, Folder, NotFound, StorageError, open_folder

ENVIRONMENT, JARS = "environment.tar.gz", "spark-jars.zip"
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_ONLY_HERE = ("docs", "java", "lint", "notebook", "onnx", "test")  # extras that are not packed: nodes have their own Java
_STAGED = "_staged"
_LEFTOVER = 86_400  # seconds
_LEFT_OUT = {"include", "tests"}  # headers, which only a compiler needs, and test suites


class NotPackaged(CantSubmit):
    """Raised where there is no package of the environment's versions; the message says how to make one."""


def package(to: str, tell: Callable[[str], None]) -> str:
    """Pack what the executors need, unless there is a package of these versions already.

    Args:
        to: the URL of a folder for packages of all versions, on a storage that every node can read.
        tell: called with messages on the progress.

    Returns:
        The URL of the package: a folder with environment.tar.gz, spark-jars.zip and, as the last file, summary.json.

    Raises:
        StorageError: the package can't be written.
    """
    root, distributions, name = open_folder(to), _distributions(), package_name()
    if root.exists(f"{name}/{SUMMARY}"):
        tell(f"{root.join(name).url} exists already, with these versions")
        return root.join(name).url
    for dist in distributions:
        if dist.metadata["Name"] != "sparktrain" and _is_editable(dist):
            tell(f"{dist.metadata['Name']} is installed as editable, so its code is not in the package: install it without -e")
    _remove_leftovers(root)
    staged = root.join(_STAGED, f"{name}-{time.time():.0f}-{secrets.token_hex(4)}")  # another process may pack the same
    try:
        with tempfile.TemporaryDirectory(prefix="sparktrain-package-") as folder:
            for file, make in ((ENVIRONMENT, _pack_environment), (JARS, _pack_jars)):
                tell(f"packing {file} ...")
                local = Path(folder, file)
                make(local, distributions)
                tell(f"writing {file}, {local.stat().st_size / 1e6:,.0f} MB ...")
                staged.upload(str(local), file)
                local.unlink()
        versions = {dist.metadata["Name"]: dist.version for dist in distributions}
        staged.write_text(SUMMARY, json.dumps({"python": platform.python_version(), "versions": versions}, indent=1) + "\n")
        try:
            root.publish(staged.url.removeprefix(f"{root.url}/"), name)
        except StorageError:
            if not root.exists(f"{name}/{SUMMARY}"):
                raise
            tell("another process has just written the same package")
    finally:
        staged.remove(recursive=True)
    return root.join(name).url


def _remove_leftovers(root: Folder) -> None:
    """Remove the files of packaging processes that were killed over a day ago."""
    try:
        names = root.join(_STAGED).list()
    except NotFound:
        return
    for staged in names:
        since = staged.split("-")[-2:-1]
        if since and since[0].isdigit() and time.time() - int(since[0]) > _LEFTOVER:
            root.remove(f"{_STAGED}/{staged}", recursive=True)


def packaged(at: str) -> Folder:
    """Return the package of this environment's versions in a folder of packages.

    Raises:
        NotPackaged: there is none.
    """
    root, name = open_folder(at), package_name()
    if not root.exists(f"{name}/{SUMMARY}"):
        raise NotPackaged(
            f"{root.url} has no package {name}, of the versions that this environment has: make it with\n"
            f"    sparktrain package --to {at}\n"
            "once, and again when versions change; or leave out spark.sparktrain.packages if every node has the "
            "environment at the same path"
        )
    return root.join(name)


def package_name() -> str:
    """Return a name with a hash of the package's versions, without sparktrain's, whose code is sent with each submit."""
    versions = [f"{dist.metadata['Name']}=={dist.version}" for dist in _distributions() if dist.metadata["Name"] != "sparktrain"]
    core = next((jar.name for jar in spark_jars().glob("spark-core_*.jar")), "")  # SPARK_HOME's, if it is set
    made_of = "\n".join([platform.python_version(), platform.machine(), core, *versions])
    return f"{_PYTHON}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


def own_code(folder: Path) -> Path:
    """Write sparktrain itself into the folder and return the path: a wheel, named .zip because Spark requires it."""
    distribution = importlib.metadata.distribution("sparktrain")
    target = folder / f"sparktrain-{distribution.version}.zip"
    source = package_folder("sparktrain")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, Path("sparktrain", file.relative_to(source)))
        # So that its version is known on the executors, too. In an egg-info the file has another name.
        metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
        assert metadata is not None  # an installed distribution has one of the two
        archive.writestr(f"sparktrain-{distribution.version}.dist-info/METADATA", metadata)
    return target


def _distributions() -> list[importlib.metadata.Distribution]:
    """Return the installed distributions by name, with the user's packages, without what only tests, notebooks and pip need."""
    needed = _with_what_they_need([("sparktrain", ("", *_extras()))])
    not_there = set(_with_what_they_need([("sparktrain", _ONLY_HERE), ("pip", ("",)), ("wheel", ("",))])) - set(needed)
    sites = {Path(path).resolve() for path in site.getsitepackages()}
    own = [_name(dist) for dist in importlib.metadata.distributions() if Path(str(dist.locate_file(""))).resolve() in sites]
    found = needed | _with_what_they_need([(name, ("",)) for name in own if name not in not_there])
    return [found[name] for name in sorted(found)]


def _with_what_they_need(wanted: list[tuple[str, tuple[str, ...]]]) -> dict[str, importlib.metadata.Distribution]:
    """Return the distributions, each with some of its extras, and all their installed requirements, by name."""
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
            continue  # an extra that isn't installed: a job that needs it fails here, too
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
    origin = distribution.read_text("direct_url.json")  # written by pip for a package installed from a folder
    return origin is not None and json.loads(origin).get("dir_info", {}).get("editable", False)


def _extras() -> list[str]:
    extras = importlib.metadata.metadata("sparktrain").get_all("Provides-Extra") or []
    return [extra for extra in extras if extra not in _ONLY_HERE]


def _pack_environment(target: Path, distributions: list[importlib.metadata.Distribution]) -> None:
    """Pack a relocatable virtual environment, whose interpreter is the node's."""
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
    """Yield (path, name in site-packages) of a distribution's files; of pyspark and sparktrain only the metadata."""
    for file in distribution.files or ():
        if file.parts[0].startswith("sparktrain") or file.parts[0] in ("pyspark", "..") or _LEFT_OUT & set(file.parts):
            continue  # Spark brings pyspark, and scripts contain this environment's path
        path = Path(file.locate())
        if path.is_file() and not file.parts[0].startswith("__editable__"):
            yield path, str(file)


def _pack_jars(target: Path, distributions: list[importlib.metadata.Distribution]) -> None:
    """Pack Spark's jars as spark.yarn.archive expects them."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # jars are compressed already
        for jar in sorted(spark_jars().glob("*.jar")):
            archive.write(jar, jar.name)


def spark_jars() -> Path:
    """Return the folder of Spark's jars: SPARK_HOME's if that is set, else pyspark's own."""
    home = os.environ.get("SPARK_HOME") or package_folder("pyspark")
    return Path(home, "jars")
