"""What goes to the nodes: all that this environment has of what sparktrain asks for."""

from __future__ import annotations

import sys
import zipfile

import pytest

from sparktrain.driver.package import _distributions, own_code


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
