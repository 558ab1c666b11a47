"""Finds Java and Hadoop's classes; jars that pyspark doesn't include are fetched once into the user's cache."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

from sparktrain.known_messages.java import VERSION
from sparktrain.sandbox.errors import SandboxError

JAVA_VERSION = 17
FETCH_SECONDS = 900
BOUNCY_CASTLE = "1.78.1"
SIGNING = ("bcprov-jdk18on", "bcpkix-jdk18on", "bcutil-jdk18on")  # needed by the ResourceManager, missing in Hadoop's jar
HOW_TO_GET_JAVA = (
    "Install Java (Debian, Ubuntu: apt-get install default-jre-headless; macOS: brew install openjdk@21), "
    "or set JAVA_HOME to the folder of an installed one."
)


def find_java() -> Path:
    """Return the path of the `java` in JAVA_HOME, else on PATH, else in the Python environment.

    Raises:
        SandboxError: there is none, it doesn't run, or it is older than Java 17.
    """
    home, own = os.environ.get("JAVA_HOME"), os.path.join(sys.prefix, "bin", "java")
    found = shutil.which(os.path.join(home, "bin", "java")) if home else shutil.which("java") or shutil.which(own)
    if found is None:
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on PATH and JAVA_HOME is not set"
        raise SandboxError(f"The sandbox needs Java {JAVA_VERSION} or newer, and {where}. {HOW_TO_GET_JAVA}")
    try:
        ended = subprocess.run(
            [found, "-version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        status, output = ended.returncode, ended.stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:  # for instance a program for another processor
        status, output = 127, str(error)
    version = VERSION.find(output)
    if status or version is None:
        raise SandboxError(f"`{found} -version` failed with exit status {status}: {output}\n{HOW_TO_GET_JAVA}")
    if int(version[1]) < JAVA_VERSION:
        raise SandboxError(f"The sandbox needs Java {JAVA_VERSION} or newer, and {found} is {version[1]}. {HOW_TO_GET_JAVA}")
    return Path(found)


def has_kerberos(java: Path) -> bool:
    """Return whether a Java has the module for Kerberos, which small Java images may lack."""
    listed = subprocess.run([java, "--list-modules"], capture_output=True, text=True, timeout=60, check=True)
    return "jdk.security.jgss" in listed.stdout


def spark_jars() -> Path:
    """Return the folder of pyspark's jars, without importing pyspark.

    Raises:
        SandboxError: pyspark isn't installed.
    """
    spec = importlib.util.find_spec("pyspark")
    for location in (spec.submodule_search_locations or []) if spec else []:
        if (jars := Path(location) / "jars").is_dir():
            return jars
    raise SandboxError(f"The sandbox needs pyspark's jars, and {sys.executable} has no pyspark. Install it: pip install pyspark")


def class_path(java: Path, show: Callable[[str], None], with_yarn: bool = False) -> list[str]:
    """Return the class path of Hadoop's and Spark's daemons, and fetch jars that are missing.

    Hadoop's version is the one that pyspark was built with.

    Args:
        java: the Java that runs Ivy if a jar has to be fetched.
        show: called with a message on what is being waited for.
        with_yarn: whether to add the jars that only YARN's daemons need.

    Raises:
        SandboxError: a jar is missing and can't be fetched.
    """
    client = _hadoop_client()
    version = hadoop_version()
    daemons = fetch(java, "org.apache.hadoop", "hadoop-client-minicluster", version, show)
    unpacked = _unpacked(daemons, show)
    more = [str(fetch(java, "org.bouncycastle", module, BOUNCY_CASTLE, show)) for module in SIGNING] if with_yarn else []
    return [str(unpacked / "pages"), str(unpacked / "classes.jar"), *more, f"{client.parent}/*"]


def _hadoop_client() -> Path:
    """Return the path of the jar with Hadoop's public classes, which pyspark includes."""
    jars = spark_jars()
    client = next(iter(sorted(jars.glob("hadoop-client-api-*.jar"))), None)
    if client is None:
        raise SandboxError(
            f"{jars} has no hadoop-client-api jar. The sandbox needs a pyspark that includes Hadoop: pip install pyspark"
        )
    return client


def hadoop_version() -> str:
    """Return the version of Hadoop that pyspark was built with."""
    return _hadoop_client().stem.removeprefix("hadoop-client-api-")


def compile_own(java: Path, classes: Path) -> None:
    """Compile the sandbox's own Java class, LocalFiles.java, into a folder.

    Janino compiles it, which Spark includes, as users may have a Java without javac.

    Args:
        java: the path of Java's program.
        classes: the folder, which is replaced.

    Raises:
        SandboxError: the class didn't compile.
    """
    source, api = Path(__file__).with_name("LocalFiles.java"), _hadoop_client()
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir()
    ended = subprocess.run(
        [
            java,
            "-cp",
            f"{api.parent}/*",
            "org.codehaus.commons.compiler.samples.CompilerDemo",
            "-d",
            classes,
            "-classpath",
            api,
            source,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if not next(classes.rglob("*.class"), None):  # the exit status is 0 even after an error
        raise SandboxError(f"{source} could not be compiled: {(ended.stderr or ended.stdout).strip()}")


def _unpacked(jar: Path, show: Callable[[str], None]) -> Path:
    """Unpack a jar once, and return the folder: its classes are in classes.jar, not compressed, its web pages in pages/.

    Each start of a NameNode reads the whole jar twice in search of its REST resources, and unpacks the web pages:
    with the unpacked jar a start takes half the processor time.
    """
    folder = jar.with_suffix(".unpacked")
    if not folder.exists():
        with _locked(jar.parent), tempfile.TemporaryDirectory(dir=jar.parent) as scratch:
            if not folder.exists():
                show(f"unpacking {jar.name} (once, 150 MB on disk, 5 to 20 s) ...")
                ready = Path(scratch) / "ready"
                (ready / "pages").mkdir(parents=True)
                with ZipFile(jar) as packed, ZipFile(ready / "classes.jar", "w") as classes:
                    for entry in packed.infolist():
                        if entry.filename.startswith("webapps/"):
                            packed.extract(entry, ready / "pages")
                        else:
                            # Folders, too: the REST resources are searched for in these
                            classes.writestr(entry.filename, packed.read(entry))
                ready.rename(folder)
    return folder


def fetch(java: Path, group: str, module: str, version: str, show: Callable[[str], None]) -> Path:
    """Return the path of a module's jar in the user's cache, and fetch it with Spark's Ivy if it isn't there.

    Of several processes one fetches and the others wait. Ivy checks the jar's checksum.

    Args:
        java: the Java that runs Ivy.
        group: the module's group on Maven Central.
        show: called with a message if the jar has to be fetched.

    Raises:
        SandboxError: Ivy could not fetch the module.
    """
    return _fetch(java, group, module, version, show, _cache() / f"{module}-{version}.jar", "-notransitive")


def fetch_with_dependencies(java: Path, group: str, module: str, version: str, show: Callable[[str], None]) -> Path:
    """Return the path of a folder with the jars of a module and of its dependencies, fetched as by `fetch`."""
    return _fetch(java, group, module, version, show, _cache() / f"{module}-{version}")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparktrain" / "jars"


def _fetch(java: Path, group: str, module: str, version: str, show: Callable[[str], None], target: Path, *options: str) -> Path:
    if target.exists():
        return target
    cache = target.parent
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache):
        if not target.exists():
            show(f"fetching {module} {version} into {cache} (once, 60 MB at most, 5 to 60 s) ...")
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                jar = _run_ivy(java, group, module, version, Path(scratch), target, options)
                os.replace(jar if options else jar.parent, target)
    return target


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Hold the cache's lock."""
    with open(cache / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_ivy(java: Path, group: str, module: str, version: str, scratch: Path, target: Path, options: Sequence[str]) -> Path:
    """Fetch a module's jar with Ivy into a scratch folder, and return the jar's path.

    Args:
        target: the path in the cache that the jar is for, which an error names.
        options: further options of Ivy; without -notransitive it also fetches the module's dependencies.
    """
    jar = scratch / "jars" / f"{module}-{version}.jar"
    command = [
        str(java),
        "-cp",
        f"{spark_jars()}/*",
        "org.apache.ivy.Main",
        "-cache",
        str(scratch / "ivy"),
        "-dependency",
        group,
        module,
        version,
        *options,
        "-types",
        "jar",
        "bundle",
        "-retrieve",
        f"{jar.parent}/[artifact]-[revision].[ext]",
    ]
    settings = os.environ.get("SPARKTRAIN_IVY_SETTINGS")
    if settings:
        command += ["-settings", settings]
    try:
        ended = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=FETCH_SECONDS, check=False
        )
        output = ended.stdout
    except subprocess.TimeoutExpired:
        output = f"it did not finish within {FETCH_SECONDS} seconds"
    if not jar.exists():
        lines = "\n".join(line for line in output.splitlines() if line.strip(" .\t"))
        raise SandboxError(
            f"{group}:{module}:{version} could not be fetched. The last lines of Spark's Ivy:\n{lines[-3000:]}\n"
            "If this machine can't reach Maven Central, set SPARKTRAIN_IVY_SETTINGS to a file with the Ivy settings of a mirror, "
            f"or put the jar at {target} yourself."
        )
    return jar
