"""When .venv is taken as it is, brought up to date, or made anew: ensure.sh and install.py must agree."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real


@pytest.fixture
def made(machine):
    """A machine whose project has an environment, as install.py leaves one; its Python says when it is asked for."""
    machine.give_java()
    machine.give("g++")
    machine.give("python3.11", 'case "$*" in *install.py*) echo "INSTALLS" >&2 ;; esac')
    (machine.root / ".venv" / "bin").mkdir(parents=True)
    (machine.root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    machine.stamp("base", "compiled")
    return machine


def test_a_second_start_takes_the_environment_as_it_is_and_starts_no_python(made):
    made.give("python3.11", "echo STARTED >&2; exit 1")
    ended = made.ensure()
    assert ended.returncode == 0 and ended.stderr == ""
    assert ended.stdout == f"{made.root}/.venv/bin/python|||\n"
    assert made.installer().current("base")


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "constraints.txt", "environment/install.py"])
def test_what_the_project_needs_has_changed(made, name):
    with open(made.root / name, "a") as file:
        file.write("# changed\n")
    assert "INSTALLS" in made.ensure().stderr
    assert not made.installer().current("base") and made.installer().usable()


@pytest.mark.parametrize("layer", ["test", "docs"])
def test_a_layer_that_was_never_finished_is_made(made, layer):
    assert "INSTALLS" in made.ensure(layer).stderr
    made.stamp(layer)
    assert "INSTALLS" not in made.ensure(layer).stderr


def test_an_interrupted_installation_is_made_anew(made):
    made.installer().remove_stamp("base")
    assert "INSTALLS" in made.ensure().stderr
    assert not made.installer().usable()


def test_a_project_that_was_moved_makes_its_environment_anew(made):
    moved = made.root.with_name("elsewhere")
    made.root.rename(moved)
    made.root = moved
    assert "INSTALLS" in made.ensure().stderr
    assert not made.installer().usable()


def test_an_environment_whose_python_is_gone_is_made_anew(made):
    (made.root / ".venv" / "bin" / "python").unlink()
    (made.root / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")
    assert "INSTALLS" in made.ensure().stderr
    assert not made.installer().usable()


def test_a_venv_that_this_did_not_make_is_left_alone(made):
    installer = made.installer()
    installer.remove_stamp("base")
    with pytest.raises(installer.CannotInstall, match="was not made by this script"):
        installer.make_base()
    assert (made.root / ".venv" / "bin" / "python").exists()


def test_without_horovod_the_reason_is_kept_until_a_compiler_comes(made):
    (made.root / ".venv/installed/without-horovod").write_text("no C++ compiler was found\n")
    assert "INSTALLS" in made.ensure().stderr
    (made.bin / "g++").unlink()
    ended = made.ensure()
    assert ended.returncode == 0 and ended.stdout == f"{made.root}/.venv/bin/python|no C++ compiler was found||\n"


def test_asked_to_go_without_horovod_it_does_not_come_back_to_it(made):
    (made.root / ".venv/installed/without-horovod").write_text("SPARKTRAIN_HOROVOD=no is set\n")
    made.variables["SPARKTRAIN_HOROVOD"] = "no"
    assert made.ensure().stderr == ""


def test_the_quickstart_alone_goes_on_while_horovod_is_compiled(made):
    """Each start of it calls install.py, which starts the compiling again where it was ended, and returns at once."""
    installer = made.installer()
    installer.remove_stamp("compiled")
    installer.HOROVOD.unlink()
    ended = made.ensure("quickstart")
    assert "INSTALLS" in ended.stderr and ended.returncode == 0
    assert ended.stdout == f"{made.root}/.venv/bin/python|it is still being compiled, in the background||\n"
    for layer in ("base", "test"):
        ended = made.ensure(layer)  # and here install.py does nothing
        assert "INSTALLS" in ended.stderr and ended.returncode == 1
    installer.HOROVOD.touch()  # the archive of classes is still being written
    assert made.ensure("quickstart").stdout == f"{made.root}/.venv/bin/python|||\n"


def test_the_reason_of_an_installation_that_fails_comes_back(made):
    made.installer().remove_stamp("base")
    made.give("python3.11", 'case "$*" in *install.py*) echo "no space left"; exit 1 ;; esac')
    ended = made.ensure()
    assert ended.returncode == 1 and ended.stdout.split("|")[2] == "no space left"


def test_the_python_of_the_environment_itself_does_not_make_it_anew(made):
    """As where it is active, and about to be removed."""
    made.installer().remove_stamp("base")
    (made.bin / "python3.11").rename(made.bin / "python3.13")
    (made.root / ".venv" / "bin" / "python3.11").symlink_to(sys.executable)
    made.variables["PATH"] = f"{made.root}/.venv/bin:{made.bin}"
    assert "INSTALLS" in made.ensure().stderr


def test_the_python_that_made_the_environment_brings_it_up_to_date_also_where_it_is_on_no_path(made):
    made.installer().remove_stamp("base")
    (made.bin / "python3.11").rename(made.root / "its own")
    (made.root / ".venv" / "pyvenv.cfg").write_text(f"home = /x\nexecutable = {made.root}/its own\nversion = 3.12.1\n")
    assert "INSTALLS" in made.ensure().stderr


def test_a_step_that_fails_names_itself_and_its_cause_and_its_output_is_in_the_log(made, capfd):
    steps = made.installer().steps
    with pytest.raises(steps.StepFailed, match="a broken step: ended with status 3") as failure:
        steps.step("a broken step", ["bash", "-c", "echo ERROR: the cause; echo a hint; exit 3"], "a second")
    assert failure.value.cause == "ERROR: the cause"
    assert "the cause" in steps.log_tail() and "a hint" in steps.log_tail()
    shown = capfd.readouterr().err
    assert shown == "sparktrain:   a broken step (a second) ...\n"  # and nothing of the tool's


def test_two_starts_at_once_make_it_one_after_the_other(made):
    script = (
        "import sys; sys.path.insert(0, 'environment'); import stamps, time\n"
        "with stamps.alone():\n    print('in', flush=True); time.sleep(0.3); print('out', flush=True)"
    )
    both = made.run("bash", "-c", f"'{sys.executable}' -c \"{script}\" & '{sys.executable}' -c \"{script}\"; wait")
    assert both.stdout.split() == ["in", "out", "in", "out"]
    assert both.stderr.count("waiting for it") == 1


def test_a_killed_start_keeps_others_out_until_the_tools_it_started_have_ended(made):
    imports = "import sys; sys.path.insert(0, 'environment'); import os, stamps, steps, threading, time"
    killed = f"""{imports}
def die():
    while not os.path.exists('begun'):
        time.sleep(0.01)
    os._exit(9)
with stamps.alone():
    threading.Thread(target=die).start()
    steps.step('a tool', ['bash', '-c', 'touch begun; sleep 1.5; touch written'])"""
    (made.root / "killed.py").write_text(killed)
    (made.root / "next.py").write_text(f"{imports}\nwith stamps.alone():\n    print(os.path.exists('written'))")
    both = made.run("bash", "-c", f"'{sys.executable}' killed.py; echo $?; '{sys.executable}' next.py")
    assert both.stdout.split() == ["9", "True"]


def test_the_user_s_settings_of_pip_count_as_far_as_they_say_how_packages_are_reached(made):
    (made.root / "pip.conf").write_text(
        "[global]\nindex-url = https://mirror.example/simple\nproxy = http://other:1\nrequire-virtualenv = true\n"
        "[install]\nuser = true\ntarget = /elsewhere\nno-deps = true\nfind_links =\n    /opt/a\n    /opt/b\n"
    )
    others = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    given = {
        **others,
        "PIP_CONFIG_FILE": f"{made.root}/pip.conf",
        "PIP_PREFIX": "/p",
        "PIP_CONSTRAINT": "/c",
        "PIP_REQUIRE_HASHES": "1",
        "PIP_PROXY": "http://mine:3128",
        "PYTHONPATH": "/x",
        "VIRTUAL_ENV": "/y",
        "PATH": "/bin",
    }
    steps = made.installer().steps
    cleaned = steps.clean_environment(given, steps.pip_settings(given))
    assert "PYTHONPATH" not in cleaned and "VIRTUAL_ENV" not in cleaned and cleaned["PATH"] == f"{made.root}/.venv/bin:/bin"
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], env=cleaned, capture_output=True, text=True, check=True
    )
    seen = dict(line.removeprefix(":env:.").split("=", 1) for line in listed.stdout.splitlines())
    assert seen["index-url"] == "'https://mirror.example/simple'" and seen["proxy"] == "'http://mine:3128'"
    assert seen["find-links"].strip("'").replace("\\n", " ").split() == ["/opt/a", "/opt/b"]
    assert not {"user", "target", "prefix", "constraint", "require-virtualenv", "require-hashes", "no-deps"} & set(seen)


def test_what_is_compiled_in_the_background_is_waited_for_by_those_who_need_it_and_started_once(made):
    """Its Python is a stand-in: it notes what it is asked for, and compiles until it is let go."""
    made.installer().remove_stamp("compiled")
    made.installer().HOROVOD.unlink()
    python = made.root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(
        '#!/bin/bash\ncase "$*" in *horovod_wheel*) echo build >>builds; until [[ -e go ]]; do sleep 0.05; done ;; esac\n'
    )
    python.chmod(0o755)

    def install(layer: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "environment/install.py", layer],
            cwd=made.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    try:
        with install("quickstart") as first:
            said = first.communicate(timeout=180)[1]  # its standard error ends with it: the background has its own
            assert first.returncode == 0 and "in the background" in said and "end it: kill -- -" in said
        with install("quickstart") as second:
            assert second.communicate(timeout=180)[1] == "" and second.returncode == 0
        with install("test") as waits:
            assert "waiting for it" in waits.stderr.readline()
            (made.root / "go").touch()
            waits.communicate(timeout=180)
            assert waits.returncode == 0
    finally:
        (made.root / "go").touch()
    assert (made.root / "builds").read_text() == "build\n"
    assert made.ensure("test").stdout == f"{python}|||\n"


def test_without_a_compiler_the_quickstart_has_the_reason_at_once(made):
    made.installer().remove_stamp("compiled")
    made.installer().HOROVOD.unlink()
    (made.bin / "g++").unlink()
    (made.root / ".venv" / "bin" / "python").unlink()
    (made.root / ".venv" / "bin" / "python").symlink_to(made.bin / "true")
    made.give("true")
    made.give("python3.11", f'exec {sys.executable} "$@"')
    ended = made.ensure("quickstart")
    assert ended.returncode == 0 and "no C++ compiler was found (g++)" in ended.stdout.split("|")[1]
