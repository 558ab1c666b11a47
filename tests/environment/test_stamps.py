"""When .venv is taken as it is, brought up to date, or made anew: ensure.sh and install.py must agree."""

from __future__ import annotations

import importlib.util
import sys

import pytest

pytestmark = pytest.mark.real


def load_installer(root):
    spec = importlib.util.spec_from_file_location("installer", root / "environment" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made(machine):
    """A machine whose project has an environment, as install.py leaves one; its Python says when it is asked for."""
    machine.give_java()
    machine.give("g++")
    machine.give("python3.11", 'case "$*" in *install.py*) echo "INSTALLS" >&2 ;; esac')
    (machine.root / ".venv" / "bin").mkdir(parents=True)
    (machine.root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    installer = load_installer(machine.root)
    installer.write_stamp("base")
    machine.installer = installer
    return machine


def test_a_second_start_takes_the_environment_as_it_is_and_starts_no_python(made):
    made.give("python3.11", "echo STARTED >&2; exit 1")
    ended = made.ensure()
    assert ended.returncode == 0 and ended.stderr == ""
    assert ended.stdout == f"{made.root}/.venv/bin/python||\n"
    assert made.installer.current("base")


@pytest.mark.parametrize("name", ["setup.py", "constraints.txt", "environment/install.py"])
def test_what_the_project_needs_has_changed(made, name):
    with open(made.root / name, "a") as file:
        file.write("# changed\n")
    assert "INSTALLS" in made.ensure().stderr
    assert not made.installer.current("base") and made.installer.usable()


def test_a_layer_that_was_never_finished_is_made(made):
    assert "INSTALLS" in made.ensure("test").stderr
    made.installer.write_stamp("test")
    assert "INSTALLS" not in made.ensure("test").stderr


def test_an_interrupted_installation_is_made_anew(made):
    made.installer.remove_stamp("base")
    assert "INSTALLS" in made.ensure().stderr
    assert not made.installer.usable()


def test_a_project_that_was_moved_makes_its_environment_anew(made):
    moved = made.root.with_name("elsewhere")
    made.root.rename(moved)
    made.root = moved
    assert "INSTALLS" in made.ensure().stderr
    assert not load_installer(moved).usable()


def test_an_environment_whose_python_is_gone_is_made_anew(made):
    (made.root / ".venv" / "bin" / "python").unlink()
    (made.root / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")
    assert "INSTALLS" in made.ensure().stderr
    assert not made.installer.usable()


def test_a_venv_that_this_did_not_make_is_left_alone(made):
    made.installer.remove_stamp("base")
    with pytest.raises(SystemExit, match="was not made by this script"):
        made.installer.make_base()
    assert (made.root / ".venv" / "bin" / "python").exists()


def test_without_horovod_the_reason_is_kept_until_a_compiler_comes(made):
    (made.root / ".venv/installed/without-horovod").write_text("no C++ compiler was found\n")
    assert "INSTALLS" in made.ensure().stderr
    (made.bin / "g++").unlink()
    ended = made.ensure()
    assert ended.returncode == 0 and ended.stdout == f"{made.root}/.venv/bin/python|no C++ compiler was found|\n"


def test_asked_to_go_without_horovod_it_does_not_come_back_to_it(made):
    (made.root / ".venv/installed/without-horovod").write_text("SPARKTRAIN_HOROVOD=no is set\n")
    made.variables["SPARKTRAIN_HOROVOD"] = "no"
    assert made.ensure().stderr == ""


def test_pip_does_not_see_packages_from_elsewhere(made):
    cleaned = made.installer.clean_environment({"PYTHONPATH": "/x", "VIRTUAL_ENV": "/y", "PIP_INDEX_URL": "z", "PATH": "/bin"})
    assert "PYTHONPATH" not in cleaned and "VIRTUAL_ENV" not in cleaned
    assert cleaned["PIP_INDEX_URL"] == "z" and cleaned["PATH"] == f"{made.root}/.venv/bin:/bin"


def test_a_step_that_fails_names_itself_and_its_output_is_in_the_log(made, capfd):
    with pytest.raises(made.installer.StepFailed, match="a broken step: ended with status 3"):
        made.installer.step("a broken step", ["bash", "-c", "echo the cause; exit 3"])
    assert "the cause" in made.installer.log_tail()
    assert "sparktrain:   a broken step ..." in capfd.readouterr().err


def test_two_starts_at_once_make_it_one_after_the_other(made):
    script = ("import sys; sys.path.insert(0, 'environment'); import install, time\n"
              "with install.alone():\n    print('in', flush=True); time.sleep(0.3); print('out', flush=True)")
    both = made.run("bash", "-c", f"'{sys.executable}' -c \"{script}\" & '{sys.executable}' -c \"{script}\"; wait")
    assert both.stdout.split() == ["in", "out", "in", "out"]
    assert both.stderr.count("waiting for it") == 1


def test_a_killed_start_keeps_others_out_until_the_tools_it_started_have_ended(made):
    imports = "import sys; sys.path.insert(0, 'environment'); import install, os, threading, time"
    killed = (f"{imports}\nwith install.alone():\n    threading.Timer(0.3, os._exit, [9]).start()\n"
              "    install.step('a tool', ['bash', '-c', 'sleep 1.5; touch written'])")
    (made.root / "killed.py").write_text(killed)
    (made.root / "next.py").write_text(f"{imports}\nwith install.alone():\n    print(os.path.exists('written'))")
    both = made.run("bash", "-c", f"'{sys.executable}' killed.py; echo $?; '{sys.executable}' next.py")
    assert both.stdout.split() == ["9", "True"]
