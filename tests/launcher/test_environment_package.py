"""What goes to the nodes: all that this environment has of what sparktrain asks for."""

from __future__ import annotations

import site
import sys
import zipfile
from pathlib import Path
from threading import Event, Thread

import pytest

from sparktrain.launcher import environment_package
from sparktrain.launcher.environment_package import _distributions, own_code, package, package_name


@pytest.mark.skipif(sys.platform != "linux", reason="TensorFlow has a GPU build for Linux only")
def test_an_environment_with_tensorflow_s_gpu_build_is_packed_with_it_and_with_cuda(tmp_path, monkeypatch):
    for name, version, more in (
        ("tensorflow", "2.21.0", 'Provides-Extra: and-cuda\nRequires-Dist: nvidia-cudnn-cu12; extra == "and-cuda"\n'),
        ("nvidia-cudnn-cu12", "9.3.0", ""),
    ):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}")
    before = {each.metadata["Name"] for each in _distributions()}
    monkeypatch.syspath_prepend(str(tmp_path))
    now = {each.metadata["Name"] for each in _distributions()}
    assert now - before == {"tensorflow", "nvidia-cudnn-cu12"} and before <= now


def test_our_own_code_has_its_version_also_where_an_egg_info_lies_beside_the_sources(tmp_path, monkeypatch):
    """As `pip install -e .` leaves it in a checkout that is on PYTHONPATH, too."""
    (tmp_path / "sparktrain.egg-info").mkdir()
    (tmp_path / "sparktrain.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: sparktrain\nVersion: 7.8.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "to").mkdir()
    made = own_code(tmp_path / "to")
    with zipfile.ZipFile(made) as archive:
        assert b"Version: 7.8.9" in archive.read("sparktrain-7.8.9.dist-info/METADATA")


def test_what_the_user_has_installed_is_packed_too_but_not_what_tests_need(tmp_path, monkeypatch):
    before, name = {each.metadata["Name"] for each in _distributions()}, package_name()
    assert "pytest" not in before and "pip" not in before
    for each, more in (("own_tool", "Requires-Dist: iniconfig\n"), ("own_other", "")):  # pytest's iniconfig, too
        folder = tmp_path / f"{each}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {each}\nVersion: 1.0\n{more}")
    monkeypatch.syspath_prepend(str(tmp_path))
    sites = site.getsitepackages()
    monkeypatch.setattr(site, "getsitepackages", lambda: [*sites, str(tmp_path)])
    assert {each.metadata["Name"] for each in _distributions()} - before == {"own_tool", "own_other", "iniconfig"}
    assert package_name() != name


def test_two_who_pack_the_same_at_once_leave_one_whole_package(tmp_path, monkeypatch):
    """The first is held up in its middle until the second is done."""
    began, go_on = Event(), Event()

    def jars(target, distributions):
        if not began.is_set():
            began.set()
            assert go_on.wait(30)
        target.write_text("jars")

    monkeypatch.setattr(environment_package, "_pack_environment", lambda target, distributions: target.write_text("environment"))
    monkeypatch.setattr(environment_package, "_pack_jars", jars)
    said: list[str] = []
    first = Thread(target=lambda: said.append(package(str(tmp_path), said.append)))
    first.start()
    assert began.wait(30)
    url = package(str(tmp_path), said.append)
    go_on.set()
    first.join(30)
    assert said[-1] == url and "another process has just written the same package" in said
    [made] = [path for path in Path(tmp_path).iterdir() if path.name != "_staged"]
    assert {path.name for path in made.iterdir()} == {"environment.tar.gz", "spark-jars.zip", "summary.json"}
    assert not list((tmp_path / "_staged").iterdir())
