"""Installs Horovod into the environment whose Python runs this, building it where no wheel for these versions is kept.

TensorFlow has moved headers that Horovod's sources include. They are forwarded from their old places, so the sources
are compiled as they are. The wheel is kept in the user's cache (XDG_CACHE_HOME, else ~/.cache), under a name made of
all that it was built for, and the next environment of the same versions takes it from there.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

# Header as Horovod includes it -> where TensorFlow keeps it.
FORWARDED = {
    "tensorflow/compiler/xla/client/xla_builder.h": "xla/hlo/builder/xla_builder.h",
    "tensorflow/compiler/xla/service/custom_call_target_registry.h": "xla/service/custom_call_target_registry.h",
    "tensorflow/compiler/xla/service/hlo.pb.h": "xla/service/hlo.pb.h",
    "tensorflow/compiler/xla/shape.h": "xla/shape.h",
    "tensorflow/compiler/xla/xla_data.pb.h": "xla/xla_data.pb.h",
}
# What TensorFlow has dropped, or keeps to itself, and only Horovod's sources for GPUs still use: header -> what is added.
RESTORED = {
    "tensorflow/compiler/xla/client/xla_builder.h": """
#include "absl/status/statusor.h"
namespace xla {
template <typename T> using StatusOr = absl::StatusOr<T>;
}
#if HAVE_CUDA
#include <cuda_runtime.h>
#include "xla/stream_executor/stream.h"
namespace stream_executor::gpu {
__attribute__((weak)) cudaStream_t AsGpuStreamValue(Stream* stream) {
    return static_cast<cudaStream_t>(stream->platform_specific_handle().stream);
}
}
#endif
""",
}
MEMORY_PER_JOB = 2 << 30  # bytes that one compiler takes on TensorFlow's headers, at most
OLDEST_CMAKE = (3, 13)


def tensorflow() -> tuple[str, str, Path]:
    """The installed TensorFlow: the distribution's name, its version, and its folder of headers."""
    for name in ("tensorflow-cpu", "tensorflow"):
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        # Not imported: that takes seconds, and its location is all that is asked for.
        return name, found, Path(find_spec("tensorflow").submodule_search_locations[0]) / "include"
    raise SystemExit("Horovod is built against TensorFlow, which is not installed here: pip install 'sparktrain[tensorflow]'")


def key(horovod: str) -> str:
    """A folder's name out of all that a wheel was built for."""
    name, number, _ = tensorflow()
    libc = "-".join(filter(None, platform.libc_ver()))
    return "_".join(
        filter(
            None,
            [
                f"horovod-{horovod}",
                f"{name}-{number}",
                sys.implementation.cache_tag,
                sysconfig.get_platform(),
                libc,
                os.environ.get("HOROVOD_GPU_OPERATIONS"),
            ],
        )
    )


def pinned(constraint: Path, package: str) -> str:
    for line in constraint.read_text().splitlines():
        if line.startswith(f"{package}=="):
            return line.removeprefix(f"{package}==").split()[0]
    raise SystemExit(f"{constraint} pins no version of {package}: add a line `{package}==...`")


def cache(horovod: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "sparktrain" / "wheels" / key(horovod)


def kept(folder: Path) -> Path | None:
    return next(iter(folder.glob("horovod-*.whl")), None)


def run(*command: str, env: dict[str, str] | None = None) -> None:
    print("$", *command, flush=True)
    status = subprocess.run(command, env=env, stdin=subprocess.DEVNULL).returncode
    if status:
        raise SystemExit(f"{' '.join(command[:4])} ... ended with status {status}")


def cmake_is_old() -> bool:
    """Whether the machine's cmake is missing, or older than Horovod asks for."""
    if not shutil.which("cmake"):
        return True
    words = subprocess.run(["cmake", "--version"], capture_output=True, text=True).stdout.split()
    try:
        return tuple(int(part) for part in words[2].split(".")[:2]) < OLDEST_CMAKE
    except (IndexError, ValueError):
        return True


def jobs(spare: int) -> int:
    """How many compilers may run at once, by cores and by memory.

    Args:
        spare: bytes of memory that are left to others.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") - spare
    return max(1, min(os.cpu_count() or 1, memory // MEMORY_PER_JOB))


def build_environment(scratch: Path, spare: int = 0) -> dict[str, str]:
    """What Horovod's build reads from its environment, with the folder of forwarding headers written to `scratch`."""
    headers = tensorflow()[2]
    forwards = scratch / "include"
    for old, new in FORWARDED.items():
        (forwards / old).parent.mkdir(parents=True, exist_ok=True)
        (forwards / old).write_text(f'#include "{new}"\n' + RESTORED.get(old, ""))
    path = [forwards, headers / "external/highwayhash", headers / "external/farmhash_archive/src"]
    environment = os.environ | {
        "CPLUS_INCLUDE_PATH": os.pathsep.join([*map(str, path), *filter(None, [os.environ.get("CPLUS_INCLUDE_PATH")])]),
        "HOROVOD_WITH_TENSORFLOW": "1",
        "HOROVOD_WITH_GLOO": "1",
        "HOROVOD_WITHOUT_MPI": "1",
        "HOROVOD_WITHOUT_PYTORCH": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",  # a new cmake refuses what the sources it bundles ask for
        "MAKEFLAGS": os.environ.get("MAKEFLAGS") or f"-j{jobs(spare)}",
    }
    if not shutil.which("make", path=environment["PATH"]):
        environment |= ninja_instead_of_make(scratch)
    return environment


def ninja_instead_of_make(scratch: Path) -> dict[str, str]:
    """Where there is a compiler but no make. Horovod's build passes an argument of make's on, which ninja must not see."""
    wrapper = scratch / "cmake"
    wrapper.write_text(
        f"#!{sys.executable}\nimport os, shutil, sys\n"
        'arguments = [each for each in sys.argv[1:] if each != "VERBOSE=1"]\n'
        'os.execv(shutil.which("cmake"), ["cmake", *arguments])\n'
    )
    wrapper.chmod(0o755)
    return {"HOROVOD_CMAKE": str(wrapper), "CMAKE_GENERATOR": "Ninja"}


def build(horovod: str, constraint: Path, folder: Path, spare: int) -> Path:
    """Compile a wheel into the cache; it appears there whole."""
    pip = [sys.executable, "-m", "pip"]
    tools = [name for name, missing in (("cmake", cmake_is_old()), ("ninja", not shutil.which("make"))) if missing]
    # What Horovod's own setup.py imports, as its build is not isolated.
    run(*pip, "install", "--constraint", str(constraint), "packaging", "setuptools", "wheel", *tools)
    scratch = folder / "building"
    shutil.rmtree(scratch, ignore_errors=True)  # a build that was killed leaves it
    scratch.mkdir()
    # pip keeps wheels it built by the source's address alone, so it would hand out one made for another TensorFlow.
    run(
        *pip,
        "wheel",
        "--no-cache-dir",
        "--no-build-isolation",
        "--no-deps",
        "--no-binary",
        "horovod",
        "--wheel-dir",
        str(scratch),
        f"horovod=={horovod}",
        env=build_environment(scratch, spare),
    )
    built = kept(scratch)
    wheel = built.rename(folder / built.name)
    shutil.rmtree(scratch)
    return wheel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--constraint",
        type=Path,
        default=Path(__file__).resolve().parent.parent / "constraints.txt",
        help="the file that pins the versions",
    )
    parser.add_argument("--spare", type=int, default=0, help="bytes of memory to leave to what runs beside the build")
    asked = parser.parse_args()
    constraint = asked.constraint
    horovod = pinned(constraint, "horovod")
    folder = cache(horovod)
    folder.mkdir(parents=True, exist_ok=True)
    # The tools that pip brings lie beside this Python, which needs no activated environment to run this.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheel = kept(folder) or build(horovod, constraint, folder, asked.spare)
    install = (sys.executable, "-m", "pip", "install", "--no-input", "--constraint", str(constraint), str(wheel))
    run(*install)
    run(*install, "--no-deps", "--force-reinstall")  # pip takes one of this version, built for another TensorFlow, for it
    asked = ["gloo", *(["nccl"] if os.environ.get("HOROVOD_GPU_OPERATIONS") == "NCCL" else [])]
    checks = "".join(f"; assert hvd.{each}_built(), 'built without {each}'" for each in asked)
    try:
        run(sys.executable, "-c", f"import horovod.tensorflow as hvd{checks}")
    except SystemExit:
        wheel.unlink()  # a wheel that does not load must not be handed out again
        raise
    print(wheel)


if __name__ == "__main__":
    main()
