"""Makes the environment `.venv` at the project's top, or brings it up to date.

Called by ensure.sh, with the machine's Python: only the standard library is at hand. What is done is told in short
lines on standard error; the output of the tools goes to a log that is named when one of them fails.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
INPUTS = (ROOT / "setup.py", ROOT / "constraints.txt", Path(__file__).resolve())
EXTRAS = {"base": "tensorflow,tensorflowonspark,quickstart", "test": "test"}
MARK = VENV / "made-by-sparktrain"    # without it a .venv is someone else's, and is left alone
STAMPS = VENV / "installed"           # a folder a layer: what it was made from; ensure.sh compares
WITHOUT_HOROVOD = STAMPS / "without-horovod"   # the reason, where Horovod is not installed
HEARTBEAT = 30                        # seconds between signs of life where there is no terminal


class StepFailed(Exception):
    """A tool that makes the environment failed; its output is in the log."""


def say(text: str) -> None:
    print(f"sparktrain: {text}", file=sys.stderr, flush=True)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the project's environment against other starts.

    The kernel lets go when this process and the tools it started have ended, however they do: a pip that outlives a
    killed start must not write into what the next one makes.
    """
    with open(ROOT / "constraints.txt", "r+") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another start is making the environment; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def current(layer: str) -> bool:
    """Whether a layer was made, here, from what the project's files say now."""
    stamp = STAMPS / layer
    return (
        os.access(PYTHON, os.X_OK)
        and _text(stamp / "place") == f"{ROOT}\n"
        and all(_text(stamp / path.name) == _text(path) for path in INPUTS)
    )


def write_stamp(layer: str) -> None:
    """Note what a layer was made from; appears whole, and is written last, so that an interrupted install is redone."""
    fresh = STAMPS / f"{layer}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    (fresh / "place").write_text(f"{ROOT}\n")
    for path in INPUTS:
        shutil.copy(path, fresh / path.name)
    fresh.rename(STAMPS / layer)


def remove_stamp(layer: str) -> None:
    shutil.rmtree(STAMPS / layer, ignore_errors=True)


def usable() -> bool:
    """Whether what lies in .venv can be brought up to date, rather than made anew.

    It can't after an interrupted installation (a layer's stamp is gone while it is made), a move of the project
    (scripts carry the old path) or the end of the Python it was made with.
    """
    return os.access(PYTHON, os.X_OK) and _text(STAMPS / "base" / "place") == f"{ROOT}\n"


def make_base() -> None:
    if not usable():
        if VENV.exists() and not MARK.exists():
            raise SystemExit(
                f"sparktrain: {VENV} exists and was not made by this script, so it is left alone.\n"
                f"  Install the project into it and activate it:  . .venv/bin/activate && pip install -c constraints.txt"
                f" -e '.[{EXTRAS['base']}]'\n  or remove it, and an environment is made in its place."
            )
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()
        MARK.touch()
        say("making the environment in .venv: once, some minutes (details: .venv/install.log)")
        step("an empty environment", [sys.executable, "-m", "venv", str(VENV)])
    else:
        say("what the project needs has changed: bringing .venv up to date (details: .venv/install.log)")
        for layer in EXTRAS:
            remove_stamp(layer)
    # The tools that build wheels are pinned like all else, and used instead of newer ones by --no-build-isolation.
    step("pip and setuptools", pip("install", "pip", "setuptools", "wheel"))
    install_extras("base")
    install_horovod()
    archive_classes()
    write_stamp("base")


def install_extras(layer: str) -> None:
    what = {"base": "Spark, TensorFlow and what the project needs (2.7 GB on disk)", "test": "what the tests need"}
    step(what[layer], pip("install", "--no-build-isolation", "--editable", f"{ROOT}[{EXTRAS[layer]}]"))


def install_horovod() -> None:
    reason = why_no_horovod()
    if reason:
        say(f"leaving Horovod out: {reason}")
        STAMPS.mkdir(exist_ok=True)
        WITHOUT_HOROVOD.write_text(f"{reason}\n")
        return
    step("Horovod (built from source the first time, 3 to 6 minutes)",
         [str(PYTHON), str(ROOT / "environment" / "horovod_wheel.py"), "--constraint", str(ROOT / "constraints.txt")])
    WITHOUT_HOROVOD.unlink(missing_ok=True)


def archive_classes() -> None:
    """Let Spark's JVMs start sooner, if they can: nothing depends on it."""
    try:
        step("an archive of Spark's classes, for faster starts", [
            str(PYTHON), str(ROOT / "environment" / "class_archive.py"), str(VENV / "spark-classes.jsa")])
    except StepFailed as failure:
        say(f"going on without it: {failure} (details: .venv/install.log)")


def why_no_horovod() -> str | None:
    """The reason to go without Horovod, or None. ensure.sh asks the same of the machine before it starts this."""
    if os.environ.get("SPARKTRAIN_HOROVOD") == "no":
        return "SPARKTRAIN_HOROVOD=no is set"
    compilers = [os.environ.get("CXX", "").split(" ")[0], "c++", "g++", "clang++"]
    if not any(shutil.which(compiler) for compiler in compilers if compiler):
        return "no C++ compiler was found (g++), and Horovod has to be compiled"
    return None


def pip(command: str, *arguments: str) -> list[str]:
    return [str(PYTHON), "-m", "pip", command, "--no-input", "--constraint", str(ROOT / "constraints.txt"), *arguments]


def step(name: str, command: Sequence[str]) -> None:
    """Run one tool, its output to the log.

    Raises:
        StepFailed: it ended with another status than 0.
    """
    say(f"  {name} ...")
    begun = time.monotonic()
    with open(LOG, "ab", buffering=0) as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        # Not in a session of its own: Ctrl-C at the terminal must reach the tool too.
        process = subprocess.Popen(command, cwd=ROOT, env=clean_environment(os.environ), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, close_fds=False)
        relay(process, log, begun)
    if process.wait() != 0:
        raise StepFailed(f"{name}: ended with status {process.returncode}")
    say(f"  {name}: done in {time.monotonic() - begun:.0f} s")


def relay(process: subprocess.Popen, log, begun: float) -> None:
    """Copy a tool's output to the log, and show that it is alive: its last line at a terminal, else a line now and then."""
    terminal = sys.stderr.isatty()
    shown, last = time.monotonic(), ""
    while True:
        if select.select([process.stdout], [], [], 1)[0]:
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            log.write(chunk)
            lines = [line.strip() for line in re.split(r"[\r\n]", chunk.decode(errors="replace")) if line.strip()]
            last = lines[-1] if lines else last
        now = time.monotonic()
        if terminal and now - shown >= 0.5:
            width = shutil.get_terminal_size().columns
            sys.stderr.write("\r\033[K" + f"    {now - begun:.0f} s  {last}"[: width - 1])
            sys.stderr.flush()
            shown = now
        elif not terminal and now - shown >= HEARTBEAT:
            say(f"    {now - begun:.0f} s  {last[:100]}")
            shown = now
    if terminal:
        sys.stderr.write("\r\033[K")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would show pip packages from elsewhere as if they were installed here."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {key: value for key, value in environment.items() if key not in left_out} | {
        "PYTHONNOUSERSITE": "1",
        "PATH": os.pathsep.join([str(PYTHON.parent), environment.get("PATH", os.defpath)]),
    }


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def log_tail(lines: int = 15) -> str:
    return "\n".join("  | " + line for line in (_text(LOG) or "").splitlines()[-lines:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layer", choices=EXTRAS, help="base: all that a job needs; test: what the tests need besides")
    layer = parser.parse_args().layer
    try:
        with alone():
            if not current("base"):
                make_base()
            elif WITHOUT_HOROVOD.exists() and not why_no_horovod():
                say("Horovod can be built now")
                install_horovod()
            if not current(layer):
                remove_stamp(layer)
                install_extras(layer)
                write_stamp(layer)
    except StepFailed as failure:
        say(f"the environment could not be made. {failure}\n{log_tail()}\n  The whole log: {LOG}\n"
            "  Start again when the cause is gone: what was downloaded is kept. Where it is Horovod that fails,"
            " SPARKTRAIN_HOROVOD=no goes on without it.")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next start makes the environment anew")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
