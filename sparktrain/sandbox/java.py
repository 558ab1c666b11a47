"""Where Java and Hadoop's classes are; what pyspark doesn't bring is fetched once into the user's cache."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

from sparktrain.sandbox.errors import SandboxError

JAVA_VERSION = 17
FETCH_SECONDS = 900
BOUNCY_CASTLE = "1.78.1"
SIGNING = ("bcprov-jdk18on", "bcpkix-jdk18on", "bcutil-jdk18on")  # the ResourceManager's, missing in Hadoop's own jar
HOW_TO_GET_JAVA = (
    "Install one (Debian, Ubuntu: apt-get install default-jre-headless; macOS: brew install openjdk@21) "
    "or set JAVA_HOME to the folder of an installed one."
)


def find_java() -> Path:
    """Return the `java` of JAVA_HOME, else of PATH, else the environment's own.

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
        status, said = ended.returncode, ended.stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:  # one of another processor, say
        status, said = 127, str(error)
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if status or version is None:
        raise SandboxError(f"`{found} -version` failed with exit status {status}: {said}\n{HOW_TO_GET_JAVA}")
    if int(version[1]) < JAVA_VERSION:
        raise SandboxError(f"The sandbox needs Java {JAVA_VERSION} or newer, and {found} is {version[1]}. {HOW_TO_GET_JAVA}")
    return Path(found)


def has_kerberos(java: Path) -> bool:
    """Tell whether a Java has the module that signs in with Kerberos; those that are linked to be small may lack it."""
    listed = subprocess.run([java, "--list-modules"], capture_output=True, text=True, timeout=60, check=True)
    return "jdk.security.jgss" in listed.stdout


def spark_jars() -> Path:
    """Return the folder of pyspark's jars, without importing pyspark."""
    spec = importlib.util.find_spec("pyspark")
    for location in (spec.submodule_search_locations or []) if spec else []:
        if (jars := Path(location) / "jars").is_dir():
            return jars
    raise SandboxError(f"The sandbox runs on pyspark's jars; {sys.executable} has no pyspark: pip install pyspark")


def class_path(java: Path, tell: Callable[[str], None], with_yarn: bool = False) -> list[str]:
    """Return the class path of Hadoop's and Spark's daemons, of the Hadoop version that pyspark was built with.

    Args:
        java: the Java that runs Ivy where something has to be fetched.
        tell: told what is being waited for.
        with_yarn: whether YARN's are among them, which need more.
    """
    client = _hadoop_client()
    version = hadoop_version()
    daemons = fetch(java, "org.apache.hadoop", "hadoop-client-minicluster", version, tell)
    unpacked = _unpacked(daemons, tell)
    more = [str(fetch(java, "org.bouncycastle", module, BOUNCY_CASTLE, tell)) for module in SIGNING] if with_yarn else []
    return [str(unpacked / "pages"), str(unpacked / "classes.jar"), *more, f"{client.parent}/*"]


def _hadoop_client() -> Path:
    """Return the jar with Hadoop's public classes, which comes with pyspark."""
    jars = spark_jars()
    client = next(iter(sorted(jars.glob("hadoop-client-api-*.jar"))), None)
    if client is None:
        raise SandboxError(f"{jars} has no hadoop-client-api jar: the sandbox needs a pyspark that comes with Hadoop")
    return client


def hadoop_version() -> str:
    """Return the version of Hadoop that pyspark was built with."""
    return _hadoop_client().stem.removeprefix("hadoop-client-api-")


def compile_own(java: Path, classes: Path) -> None:
    """Compile the sandbox's own Java class into a folder, by Janino, which comes with Spark: users have a Java without javac.

    Raises:
        SandboxError: it didn't compile.
    """
    source, api = Path(__file__).with_name("LocalFiles.java"), _hadoop_client()
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir()
    said = subprocess.run(
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
    if not next(classes.rglob("*.class"), None):  # its exit status is 0 all the same
        raise SandboxError(f"{source} could not be compiled: {(said.stderr or said.stdout).strip()}")


def _unpacked(jar: Path, tell: Callable[[str], None]) -> Path:
    """Return a folder with the jar's classes, not compressed, in classes.jar, and its web pages in pages/.

    Each start of a NameNode reads the whole jar twice in search of its REST resources, and unpacks the web pages:
    this takes half of that start's processor time away.
    """
    folder = jar.with_suffix(".unpacked")
    if not folder.exists():
        with _locked(jar.parent), tempfile.TemporaryDirectory(dir=jar.parent) as scratch:
            if not folder.exists():
                tell("unpacking it (once, 150 MB on disk, 5 to 20 s) ...")
                ready = Path(scratch) / "ready"
                (ready / "pages").mkdir(parents=True)
                with ZipFile(jar) as packed, ZipFile(ready / "classes.jar", "w") as classes:
                    for entry in packed.infolist():
                        if entry.filename.startswith("webapps/"):
                            packed.extract(entry, ready / "pages")
                        else:
                            # Folders too: the REST resources are looked for by them.
                            classes.writestr(entry.filename, packed.read(entry))
                ready.rename(folder)
    return folder


def fetch(java: Path, group: str, module: str, version: str, tell: Callable[[str], None]) -> Path:
    """Return the path of a module's jar, fetched by Spark's Ivy when it is not in the user's cache.

    Several processes may ask at once: one fetches, the others wait. Ivy checks the jar's checksum.

    Raises:
        SandboxError: Ivy found no such module or no way to it.
    """
    return _fetch(java, group, module, version, tell, _cache() / f"{module}-{version}.jar", "-notransitive")


def fetch_with_needed(java: Path, group: str, module: str, version: str, tell: Callable[[str], None]) -> Path:
    """Return a folder with a module's jar and those that it needs, as `fetch` does."""
    return _fetch(java, group, module, version, tell, _cache() / f"{module}-{version}")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparktrain" / "jars"


def _fetch(java: Path, group: str, module: str, version: str, tell: Callable[[str], None], place: Path, *options: str) -> Path:
    if place.exists():
        return place
    cache = place.parent
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache):
        if not place.exists():
            tell(f"fetching {module} {version} into {cache} (once, 60 MB at most, 5 to 60 s) ...")
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                jar = _run_ivy(java, group, module, version, Path(scratch), place, options)
                os.replace(jar if options else jar.parent, place)
    return place


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    with open(cache / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_ivy(java: Path, group: str, module: str, version: str, scratch: Path, place: Path, options: Sequence[str]) -> Path:
    """Let Ivy put the module's jar, and what else the options let it, into a scratch folder; return where the jar is."""
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
        said = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=FETCH_SECONDS, check=False
        )
        output = said.stdout
    except subprocess.TimeoutExpired:
        output = f"no answer within {FETCH_SECONDS} seconds"
    if not jar.exists():
        lines = "\n".join(line for line in output.splitlines() if line.strip(" .\t"))
        raise SandboxError(
            f"{group}:{module}:{version} could not be fetched by Spark's Ivy, which said:\n{lines[-3000:]}\n"
            f"Without a way to Maven Central, name the Ivy settings of a mirror in SPARKTRAIN_IVY_SETTINGS=FILE, "
            f"or put it at {place} yourself."
        )
    return jar
