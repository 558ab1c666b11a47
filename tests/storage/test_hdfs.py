"""HDFS when things go wrong: a real one, and addresses where none is."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sparktrain.storage import NotFound, StorageError, hadoop_settings, open_folder, retries

pytestmark = pytest.mark.real


@pytest.fixture
def conf(hdfs, monkeypatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(hdfs.conf_dir))
    return hdfs


@pytest.fixture
def opened(conf, way):
    """Opens a folder on the session's HDFS, in one way or the other."""
    return lambda url: open_folder(url, hadoop_settings() | way)


def test_the_default_file_system_and_the_full_url_are_one_place(conf, opened, way, monkeypatch):
    folder = opened("hdfs:///storage-tests/default")
    folder.write_text("x", "there")
    assert folder.url == f"{conf.uri}/storage-tests/default"
    settings = hadoop_settings() | way
    monkeypatch.delenv("HADOOP_CONF_DIR")  # as on a worker, which gets the settings
    assert open_folder(folder.url, settings).read_text("x") == "there"


def test_an_environment_s_http_proxy_is_not_asked(conf, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://localhost:9")
    monkeypatch.setenv("HTTP_PROXY", "http://localhost:9")
    monkeypatch.setenv("no_proxy", "")
    assert open_folder("hdfs:///").exists()


def test_an_address_where_nobody_answers_is_named(monkeypatch):
    monkeypatch.setattr(retries, "UNKNOWN", (0.01,))
    folder = open_folder(
        "hdfs://localhost:8020/x", {"dfs.namenode.rpc-address": "localhost", "dfs.namenode.http-address": "localhost:9"}
    )
    with pytest.raises(
        StorageError,
        match="hdfs://localhost:8020/x: can't look for it: no NameNode answers at "
        r"http://localhost:9 \(.*refused.*dfs.namenode.http-address",
    ):
        folder.exists()


def test_a_name_node_that_does_not_answer_by_its_own_protocol_is_named_at_once(monkeypatch):
    monkeypatch.setattr(retries, "UNKNOWN", (0.01,))
    begun = time.monotonic()
    for host in ("localhost:9", "no-such-host.invalid:8020"):
        folder = open_folder(f"hdfs://{host}/x", {"dfs.webhdfs.enabled": "false"})
        with pytest.raises(
            StorageError,
            match=f"hdfs://{host}/x: can't look for it: no NameNode answers at hdfs://{host} "
            r"\(.*dfs.namenode.rpc-address",
        ):
            folder.exists()
    with pytest.raises(StorageError, match="hdfs://nobody: .*No NameNode.*dfs.ha.namenodes"):
        open_folder("hdfs://nobody/x", {"dfs.webhdfs.enabled": "false", "dfs.nameservices": "nobody"}).exists()
    assert time.monotonic() - begun < 10


def test_a_host_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setattr(retries, "UNKNOWN", (0.01,))
    with pytest.raises(StorageError, match="no NameNode answers at http://no-such-host.invalid:9870"):
        open_folder("hdfs://no-such-host.invalid/x", {"dfs.http.policy": "HTTP_ONLY"}).write_text("a", "b")


@pytest.mark.parametrize(
    "status, body, message",
    [
        (200, b"<html>welcome</html>", "is not WebHDFS.*dfs.namenode.http-address"),
        (401, b"Negotiate", "asks for a ticket of Kerberos"),
        (
            403,
            b'{"RemoteException": {"exception": "AccessControlException", "message": "Permission denied: user=eve"}}',
            "no permission .Permission denied: user=eve.*HADOOP_USER_NAME",
        ),
        (403, b'{"RemoteException": {"exception": "SafeModeException", "message": "Cannot create file"}}', "safe mode"),
        (404, b"<html>no such servlet</html>", "no such servlet"),
    ],
)
def test_what_a_web_server_says_instead_is_said(status, body, message, monkeypatch):
    monkeypatch.setattr(retries, "KNOWN", (0.01,))

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with HTTPServer(("localhost", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            settings = {"dfs.namenode.rpc-address": "localhost", "dfs.namenode.http-address": f"localhost:{server.server_port}"}
            with pytest.raises(StorageError, match=message):
                open_folder("hdfs://localhost/x", settings).exists()
        finally:
            server.shutdown()
            thread.join()


def test_a_refusal_is_never_taken_for_an_absence(opened):
    folder = opened("hdfs:///storage-tests/refusals")
    with pytest.raises(StorageError, match="Invalid") as error:  # HDFS allows no colon in a name
        folder.write_text("a:b", "x")
    assert not isinstance(error.value, NotFound) and f"{folder.url}/a:b" in str(error.value)


def test_a_standby_is_passed_over_and_the_active_name_node_found(conf, way):
    web, rpc = conf.web.removeprefix("http://"), conf.uri.removeprefix("hdfs://")
    settings = {
        "dfs.nameservices": "ha",
        "dfs.ha.namenodes.ha": "dead,live",
        "dfs.namenode.http-address.ha.dead": "localhost:9",
        "dfs.namenode.http-address.ha.live": web,
        "dfs.namenode.rpc-address.ha.dead": "localhost:9",
        "dfs.namenode.rpc-address.ha.live": rpc,
        **way,
    }
    folder = open_folder("hdfs://ha/storage-tests/ha", settings)
    folder.write_text("x", "found")
    assert folder.read_text("x") == "found"


@pytest.mark.slow
def test_writing_and_publishing_outlast_a_name_node_that_comes_back(conf, opened, request):
    folder = opened(f"hdfs:///storage-tests/outage-{os.getpid()}-{request.node.callspec.id}")
    folder.write_text("_runs/one/summary.json", "{}")
    conf.kill("namenode")
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(conf.start)
        folder.write_text("_runs/one/model.keras", "written while it was down")
        folder.publish("_runs/one", "one")
        assert folder.claim("claim", b"mine") and not folder.claim("claim", b"other")
        started.result()
    assert folder.read_text("one/model.keras") == "written while it was down"


@pytest.mark.slow
def test_writing_goes_on_when_a_data_node_dies(conf, opened, request):
    folder = opened(f"hdfs:///storage-tests/datanode-{os.getpid()}-{request.node.callspec.id}")
    folder.write_text("before", "x")
    conf.kill("datanode-1")
    try:
        for number in range(3):
            folder.write_text(f"after {number}", "x")
            assert folder.read_text(f"after {number}") == "x"
    finally:
        conf.start()
