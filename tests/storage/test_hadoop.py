"""Where HDFS is, read from Hadoop's configuration."""

from __future__ import annotations

import pytest

from sparktrain.storage import StorageError, hadoop_settings, open_folder
from sparktrain.storage.hadoop import user_name, web_addresses, with_authority
from sparktrain.storage.urls import parse

HA = {
    "fs.defaultFS": "hdfs://prod",
    "dfs.nameservices": "prod, spare",
    "dfs.ha.namenodes.prod": "nn1,nn2",
    "dfs.namenode.rpc-address.prod.nn1": "one:8020",
    "dfs.namenode.rpc-address.prod.nn2": "two:9000",
    "dfs.namenode.http-address.prod.nn1": "one:50070",
    "dfs.namenode.http-address.prod.nn2": "0.0.0.0:9870",
    "dfs.namenode.https-address.prod.nn1": "one:50470",
    "dfs.namenode.http-address.spare": "three",
}


@pytest.mark.parametrize(
    "url, settings, expected",
    [
        ("hdfs://node:8020/x", {}, "http://node:9870"),
        ("hdfs://node/x", {"fs.defaultFS": "hdfs://node:8020", "dfs.namenode.http-address": "web:1234"}, "http://web:1234"),
        ("hdfs:///x", {"fs.defaultFS": "hdfs://node:9000", "dfs.namenode.http-address": "0.0.0.0:1234"}, "http://node:1234"),
        ("hdfs:///x", {"fs.default.name": "hdfs://node:9000/"}, "http://node:9870"),
        ("hdfs://other/x", {"fs.defaultFS": "hdfs://node", "dfs.namenode.http-address": "web:1234"}, "http://other:9870"),
        ("hdfs://node/x", {"dfs.http.policy": "HTTPS_ONLY"}, "https://node:9871"),
        ("hdfs://node/x", {"dfs.namenode.rpc-address": "NODE:8020", "dfs.namenode.http-address": "web"}, "http://web:9870"),
        ("hdfs:///x", HA, "http://one:50070;http://two:9870"),
        ("hdfs://prod/x", HA | {"dfs.http.policy": "HTTPS_ONLY"}, "https://one:50470;https://two:9871"),
        ("hdfs://spare/x", HA, "http://three:9870"),
        ("hdfs://two:9000/x", HA, "http://two:9870"),
        ("hdfs://[::1]:9000/x", {}, "http://[::1]:9870"),
    ],
)
def test_the_web_address_is_found_as_hadoop_finds_it(url, settings, expected):
    assert ";".join(web_addresses(with_authority(parse(url), settings), settings)) == expected


@pytest.mark.parametrize(
    "url, settings, message",
    [
        ("hdfs:///x", {"dfs.http.policy": "HTTP_ONLY"}, "hdfs:///x: the URL names no NameNode.*set HADOOP_CONF_DIR"),
        ("hdfs:///x", {"fs.defaultFS": "file:///"}, "fs.defaultFS is file:///"),
        ("hdfs://bare/x", {"dfs.nameservices": "bare"}, "'bare' but no address.*dfs.ha.namenodes.bare"),
        ("hdfs:///x", {"fs.defaultFS": "hdfs://node", "dfs.namenode.http-address": "node:0"}, "port 0"),
    ],
)
def test_no_address_says_which_setting_is_missing(url, settings, message):
    with pytest.raises(StorageError, match=message):
        open_folder(url, settings)


def test_without_a_configuration_there_are_no_settings_and_hdfs_says_so(tmp_path, monkeypatch):
    for variable in ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert hadoop_settings() == {}
    with pytest.raises(StorageError, match="neither HADOOP_CONF_DIR nor HADOOP_HOME is set"):
        open_folder("hdfs:///x")
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path / "gone"))
    assert hadoop_settings() == {}
    with pytest.raises(StorageError, match="gone, which is no folder"):
        open_folder("hdfs:///x")


def test_settings_are_read_from_both_files_with_their_variables_and_without_secrets(tmp_path):
    folder = tmp_path / "etc/hadoop"
    folder.mkdir(parents=True)
    (folder / "core-site.xml").write_text(
        "<?xml version='1.0'?><configuration>"
        "<property><name>node</name><value>${env.NODE}</value></property>"
        "<property><name>fs.defaultFS</name><value>\n hdfs://${node}:${no.such} </value><final>true</final></property>"
        "<property><name>fs.s3a.secret.key</name><value>secret</value></property>"
        "<property><name>dfs.nameservices</name></property></configuration>"
    )
    (folder / "hdfs-site.xml").write_text(
        "<configuration><property><name>dfs.namenode.http-address</name><value>${node}:1</value></property>"
        "<property><name>dfs.http.policy</name><value>${dfs.http.policy}</value></property></configuration>"
    )
    assert hadoop_settings({"HADOOP_HOME": str(tmp_path), "NODE": "one"}) == {
        "fs.defaultFS": "hdfs://one:${no.such}",
        "dfs.namenode.http-address": "one:1",
        "dfs.http.policy": "${dfs.http.policy}",
    }
    (folder / "hdfs-site.xml").write_text("<configuration>")
    with pytest.raises(StorageError, match="hdfs-site.xml can't be read as Hadoop's configuration"):
        hadoop_settings({"HADOOP_CONF_DIR": str(folder)})


def test_hdfs_is_spoken_to_as_the_user_that_hadoop_would_take():
    assert user_name({"HADOOP_USER_NAME": "etl", "SPARK_USER": "ann"}) == "etl"
    assert user_name({"SPARK_USER": "ann"}) == "ann"
    assert user_name({})
