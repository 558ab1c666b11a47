"""What goes to the nodes: all that this environment has of what sparktrain asks for."""

from __future__ import annotations

import sys

import pytest

from sparktrain.driver.package import _distributions


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
