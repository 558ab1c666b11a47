"""One empty folder of its own on each kind of store: the same tests run on all of them."""

from __future__ import annotations

import uuid
from typing import Callable

import pytest

from sparktrain.storage import Folder, hadoop_settings, open_folder

# With no web server where one would be looked for
WEBHDFS_CLOSED = {"dfs.webhdfs.enabled": "false", "dfs.namenode.http-address": "localhost:9"}


@pytest.fixture(params=["memory", "local", "copying", pytest.param("webhdfs", marks=pytest.mark.real),
                        pytest.param("native hdfs", marks=pytest.mark.real)])
def reopen(request, tmp_path, monkeypatch) -> Callable[[], Folder]:
    """Opens the folder anew, as another program would. `copying`: a real disk without the use of its renames."""
    if request.param.endswith("hdfs"):
        hdfs = request.getfixturevalue("hdfs")
        monkeypatch.setenv("HADOOP_CONF_DIR", str(hdfs.conf_dir))
        settings = hadoop_settings() | ({} if request.param == "webhdfs" else WEBHDFS_CLOSED)
        url = f"{hdfs.uri}/storage-tests/{uuid.uuid4().hex}"
        return lambda: open_folder(url, settings)
    url = {"memory": f"memory://tests/{uuid.uuid4().hex}", "local": str(tmp_path / "local store"),
           "copying": f"local://{tmp_path}/copying"}[request.param]
    return lambda: open_folder(url)


@pytest.fixture
def folder(reopen) -> Folder:
    return reopen()


@pytest.fixture(params=["webhdfs", "native"])
def way(request) -> dict[str, str]:
    """What Hadoop's configuration says besides, for each of the two ways to HDFS."""
    return {} if request.param == "webhdfs" else WEBHDFS_CLOSED
