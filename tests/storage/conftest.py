"""One empty folder of its own on each kind of store: the same tests run on all of them."""

from __future__ import annotations

import uuid
from typing import Callable

import pytest

from sparktrain.storage import Folder, open_folder


@pytest.fixture(params=["memory", "local", "copying", pytest.param("hdfs", marks=pytest.mark.real)])
def reopen(request, tmp_path, monkeypatch) -> Callable[[], Folder]:
    """Opens the folder anew, as another program would. `copying`: a real disk without the use of its renames."""
    if request.param == "hdfs":
        hdfs = request.getfixturevalue("hdfs")
        monkeypatch.setenv("HADOOP_CONF_DIR", str(hdfs.conf_dir))
        url = f"{hdfs.uri}/storage-tests/{uuid.uuid4().hex}"
    else:
        url = {"memory": f"memory://tests/{uuid.uuid4().hex}", "local": str(tmp_path / "local store"),
               "copying": f"local://{tmp_path}/copying"}[request.param]
    return lambda: open_folder(url)


@pytest.fixture
def folder(reopen) -> Folder:
    return reopen()
