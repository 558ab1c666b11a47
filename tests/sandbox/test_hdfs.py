"""The HDFS that a sandbox runs: what users, Spark and HdfsCLI can do with it."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
import pytest
import requests
from hdfs import InsecureClient

pytestmark = pytest.mark.real


def places(hdfs, path: str) -> list[str]:
    """The DataNodes that hold a file's one block."""
    answer = requests.get(f"{hdfs.web}/webhdfs/v1{path}?op=GETFILEBLOCKLOCATIONS", timeout=30).json()
    (block,) = answer["BlockLocations"]["BlockLocation"]
    return block["names"]


def content(client: InsecureClient, path: str) -> bytes | None:
    """A file's content, or None while the DataNode that the NameNode names is not there."""
    try:
        with client.read(path) as reader:
            return reader.read()
    except requests.ConnectionError:
        return None


def within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True


def test_only_this_machine_can_reach_it(hdfs):
    addresses = {
        connection.laddr.ip
        for each in hdfs.status()
        for connection in psutil.Process(each.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.slow
def test_files_survive_a_killed_datanode_and_start_brings_it_back(hdfs, command):
    client = InsecureClient(hdfs.web, user="somebody")
    client.write("/kept/file", b"content", overwrite=True)
    assert len(places(hdfs, "/kept/file")) == 2
    before = {each.name: each.pid for each in hdfs.status()}

    hdfs.kill("datanode-1")
    # The NameNode sends clients to the other DataNode as soon as it misses this one.
    assert within(30, lambda: content(client, "/kept/file") == b"content")
    seen = command("status", "--home", hdfs.home.folder)
    assert seen.returncode == 3
    assert [line.split()[3] for line in seen.stdout.splitlines()[1:]] == ["live", "dead:", "live"]

    hdfs.start()
    after = {each.name: each.pid for each in hdfs.status() if each.lacks is None}
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == ["datanode-1"]
    assert command("status", "--home", hdfs.home.folder).returncode == 0


def test_spark_reads_and_writes_it(hdfs, spark):
    spark.range(1000).repartition(3).write.mode("overwrite").parquet(f"{hdfs.uri}/spark/rows")
    assert spark.read.parquet(f"{hdfs.uri}/spark/rows").selectExpr("sum(id)").first()[0] == 499500
    assert "_SUCCESS" in InsecureClient(hdfs.web, user="somebody").list("/spark/rows")
