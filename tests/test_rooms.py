"""The rooms and who may know whom: the arrows of the design point one way."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrain.interfaces.engines import ENGINES

PACKAGE = Path(__file__).resolve().parent.parent / "sparktrain"

MAY_IMPORT = {
    "exports": set(),
    "known_messages": set(),
    "config": {"interfaces"},
    "storage": {"known_messages"},
    "feed": set(),
    "interfaces": {"exports"},
    "sandbox": {"exports", "known_messages"},
    "models": {"feed"},
    "runs": {"exports", "interfaces", "models", "storage"},
    "data": {"config", "known_messages", "storage"},
    "engines": {"interfaces", "known_messages"},
    "training": {"exports", "feed", "interfaces", "models", "runs", "storage"},
    "worker": {"config", "engines", "feed", "interfaces", "known_messages", "models", "storage", "training"},
    "template": {"engines", "training", "worker"},
    "cluster": {"exports", "feed", "interfaces", "known_messages"},
    "usercode": {"config", "interfaces", "models"},
    "display": {"exports", "interfaces", "runs"},
    "driver": {
        "exports",
        "cluster",
        "config",
        "data",
        "display",
        "engines",
        "feed",
        "interfaces",
        "known_messages",
        "models",
        "runs",
        "storage",
        "usercode",
    },
    "launcher": {"cluster", "config", "display", "known_messages", "runs", "sandbox", "storage", "usercode"},
    "doctor": {
        "exports",
        "cluster",
        "config",
        "data",
        "display",
        "driver",
        "engines",
        "feed",
        "interfaces",
        "known_messages",
        "launcher",
        "runs",
        "storage",
    },
    "init": {"config", "data", "display", "interfaces", "storage"},
    "search": {"exports", "cluster", "config", "data", "display", "driver", "interfaces", "runs", "storage", "usercode"},
    "ml": {
        "exports",
        "cluster",
        "config",
        "data",
        "display",
        "driver",
        "feed",
        "models",
        "runs",
        "storage",
        "training",
        "usercode",
    },
    "export": {"config", "data", "driver", "exports", "feed", "ml", "models", "runs", "storage", "training", "usercode"},
    "cli": {
        "exports",
        "config",
        "data",
        "display",
        "doctor",
        "driver",
        "export",
        "init",
        "launcher",
        "ml",
        "runs",
        "sandbox",
        "search",
        "storage",
        "usercode",
    },
}
_SPARK = {"cluster", "data", "driver", "doctor", "init", "search", "ml", "export", "cli"}
_KERAS = {"models", "training", "worker", "ml", "export"}
NOT_BY = {
    "pyspark": MAY_IMPORT.keys() - _SPARK,
    "py4j": MAY_IMPORT.keys() - _SPARK,
    "keras": MAY_IMPORT.keys() - _KERAS,
    "tensorflow": MAY_IMPORT.keys() - {"training", "worker", "engines", "doctor", "ml", "export"},
    "horovod": MAY_IMPORT.keys() - {"engines"},
    "tensorflowonspark": MAY_IMPORT.keys() - {"engines"},
    "optuna": MAY_IMPORT.keys() - {"search"},
}


def _room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(with_names: bool = False) -> list[tuple[str, str, str]]:
    """(room, file, imported module) of every import statement, those inside functions too.

    Args:
        with_names: whether `from a import b` counts as a.b.
    """
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        if file == PACKAGE / "__init__.py":
            continue  # the package's face
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: a relative import"
                names = (
                    [f"{node.module}.{alias.name}" for alias in node.names]
                    if with_names
                    else [node.module, *(f"{node.module}.{alias.name}" for alias in node.names if node.module == "sparktrain")]
                )
            else:
                continue
            found += [(_room(file), str(file), name) for name in names]
    return found


def test_every_room_imports_only_the_rooms_it_may_know():
    wrong = []
    for room, file, name in _imports():
        parts = name.split(".")
        if parts[0] == "sparktrain" and len(parts) > 1 and parts[1] not in MAY_IMPORT[room] | {room, "__version__"}:
            wrong.append(f"{file} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_frameworks_stay_in_their_rooms():
    wrong = [f"{file} imports {name}" for room, file, name in _imports() if room in NOT_BY.get(name.split(".")[0], ())]
    assert not wrong, "\n".join(wrong)


def test_in_training_the_framework_is_imported_by_its_package_alone_and_that_by_no_file():
    """`framework()` finds it by the name of Keras's backend: nothing else depends on there being TensorFlow."""
    frameworks = {"jax", "tensorflow", "torch"}
    package = PACKAGE / "training" / "tensorflow"
    wrong = []
    for room, file, name in _imports():
        of_package = Path(file).is_relative_to(package)
        if room == "training" and name.split(".")[0] in frameworks - ({package.name} if of_package else set()):
            wrong.append(f"{file} imports {name}")
        if not of_package and name.startswith("sparktrain.training.tensorflow"):
            wrong.append(f"{file} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_engines_import_tensorflow_where_the_child_is_and_no_other_framework():
    wrong = [
        f"{file} imports {name}"
        for room, file, name in _imports()
        if room == "engines"
        and name.split(".")[0] in ("jax", "keras", "tensorflow", "torch")
        and not (name == "tensorflow" and Path(file).name in ("collective.py", "numbering.py"))
    ]
    assert not wrong, "\n".join(wrong)


def test_programs_import_only_what_the_package_and_its_rooms_export():
    """Of jobs, examples, benchmarks and the documentation: what else there is may change."""
    exported = {"sparktrain": set(_exports(PACKAGE / "__init__.py"))}
    for init in PACKAGE.glob("*/__init__.py"):
        exported[f"sparktrain.{init.parent.name}"] = set(_exports(init))
    rooms = {name.rpartition(".")[2] for name in exported}
    programs = [file for folder in ("jobs", "examples", "benchmarks") for file in (PACKAGE.parent / folder).glob("*.py")]
    texts = {str(file): file.read_text() for file in programs}
    for page in [PACKAGE.parent / "README.md", *(PACKAGE.parent / "docs").glob("*.md")]:
        texts |= {f"{page} {number}": block for number, block in enumerate(_PYTHON.findall(page.read_text()))}
    wrong = []
    for where, text in texts.items():
        for module, names in _FROM.findall(text):
            private = [
                name for name in re.findall(r"\w+", names.partition("#")[0]) if name not in exported.get(module, set()) | rooms
            ]
            wrong += [f"{where}: from {module} import {name}" for name in private]
    assert not wrong, "\n".join(wrong)


_FROM = re.compile(r"^[ \t]*from (sparktrain[\w.]*) import \(?([^()\n]+)", re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _exports(init: Path) -> list[str]:
    for node in ast.parse(init.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return ast.literal_eval(node.value)
    return []


@pytest.mark.real
@pytest.mark.parametrize(
    "modules, never",
    [
        (
            [
                "sparktrain.worker",
                "sparktrain.training.keras",
                *(f"sparktrain.engines.{engine}.collective" for engine in ENGINES),
            ],
            "pyspark",
        ),
        (
            [
                "sparktrain.cluster.task",
                *(f"sparktrain.engines.{engine}.launch" for engine in ENGINES),
                "sparktrain.engines.tensorflowonspark.cluster",
            ],
            "tensorflow",
        ),
        (["sparktrain.driver.training_run", "sparktrain.cli.job_program"], "tensorflow"),
        (
            [
                "sparktrain.launcher.submit",
                "sparktrain.launcher.cluster_application",
                "sparktrain.cli.command",
                "sparktrain.display.tables",
                "sparktrain.runs.follow",
            ],
            "pyspark",
        ),
        (["sparktrain.engines.horovod.launch"], "sparktrain.engines.horovod.collective"),
    ],
)
def test_a_process_loads_nothing_that_is_not_its_own(modules, never):
    code = f"import sys, {', '.join(modules)}; sys.exit({never!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240, cwd=PACKAGE.parent)


def test_no_file_imports_itself_by_way_of_others():
    """Circles are told file by file; imports for types alone, and those inside functions, count as well."""
    module_of = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in PACKAGE.rglob("*.py")
    }
    name_of = {str(file): name for name, file in module_of.items()}
    imported: dict[str, set[str]] = {name: set() for name in module_of}
    for _, file, name in _imports(with_names=True):
        target = next((each for each in (name, name.rpartition(".")[0]) if each in module_of), None)
        if target is not None and target != name_of[file]:
            imported[name_of[file]].add(target)
    try:
        graphlib.TopologicalSorter(imported).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
