"""An HDFS that asks for Kerberos, a real one: with a ticket, with nothing but a delegation token as in YARN's containers, and
with neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparktrain.sandbox import Kerberos, Sandbox, SandboxError, java

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 60
pytestmark = [pytest.mark.real, pytest.mark.slow]
PUT = """
import sys
from sparktrain.storage import open_folder
folder = open_folder("hdfs:///rows")
folder.write_bytes("part-0.parquet", open(sys.argv[1], "rb").read())
assert folder.list() == ["part-0.parquet"] and folder.read_bytes("part-0.parquet") == open(sys.argv[1], "rb").read()
"""
READ = """
import sys
from sparktrain.storage import open_folder
print(open_folder(sys.argv[1]).read_text("summary.json"))
"""


@pytest.fixture(scope="module")
def ticket(tmp_path_factory):
    """The environment of a user's programs on a cluster with Kerberos, whose ticket his keytab gives them."""
    folder = tmp_path_factory.mktemp("kerberos")
    if not java.has_kerberos(java.find_java()):
        with (
            pytest.raises(SandboxError, match="lacks the module jdk.security.jgss.*Install another Java"),
            Kerberos(folder / "kdc", "alice"),
        ):
            pass
        pytest.skip("this Java has no Kerberos, as the sandbox says")
    with Kerberos(folder / "kdc", "alice") as kerberos, Sandbox(folder / "hdfs", kerberos=kerberos) as sandbox:
        yield {**os.environ, **kerberos.client(), "HADOOP_CONF_DIR": str(sandbox.conf_dir)}


@pytest.fixture(scope="module")
def token(ticket, tmp_path_factory):
    """The same without a keytab or a ticket, with a delegation token that Hadoop's own command has fetched."""
    file = tmp_path_factory.mktemp("token") / "token"
    python(ticket, "from sparktrain.storage import open_folder; open_folder('hdfs:///').list()")  # leaves the ticket for Java
    classes = [ticket["HADOOP_CONF_DIR"], *java.class_path(java.find_java(), print)]
    subprocess.run(
        [
            java.find_java(),
            "-cp",
            ":".join(classes),
            "org.apache.hadoop.hdfs.tools.DelegationTokenFetcher",
            "--renewer",
            "alice",
            file,
        ],
        env=ticket,
        check=True,
        timeout=SECONDS,
    )
    return {**nothing(ticket), "HADOOP_TOKEN_FILE_LOCATION": str(file)}


def nothing(ticket: dict[str, str]) -> dict[str, str]:
    return {**{key: value for key, value in ticket.items() if key != "KRB5_CLIENT_KTNAME"}, "KRB5CCNAME": "FILE:/no/ticket"}


def python(environment: dict[str, str], code: str, *arguments: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done


def test_without_a_ticket_a_user_is_told_what_to_get(ticket):
    with pytest.raises(
        AssertionError,
        match=r"asks for a ticket of Kerberos or a token \(No Kerberos credentials available "
        r".*/no/ticket\)+. Get a ticket with kinit, or .* KRB5_CLIENT_KTNAME",
    ):
        python(nothing(ticket), READ, "hdfs:///models")


def test_a_job_reads_and_saves_with_a_token_alone_as_in_yarn_s_containers(ticket, token, home):
    python(ticket, PUT, str(home / "rows" / "part-0.parquet"))
    command = [
        str(Path(sys.executable).parent / "spark-submit"),
        "--master",
        "local-cluster[1,1,1024]",
        "--conf",
        "spark.sql.shuffle.partitions=2",
        "--conf",
        "spark.ui.enabled=false",
        str(ROOT / "jobs" / "train.py"),
        "--config",
        "job.yaml",
        "--run-id",
        "with-a-token",
        "--set",
        "data.path=hdfs:///rows",
        "--set",
        "output.path=hdfs:///models/mine",
        "--set",
        "training.checkpoint={}",
        "--set",
        "data.keep=storage",
    ]
    environment = {**token, "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    end = json.loads(done.stdout.strip().splitlines()[-1])
    assert end["status"] == "finished" and end["output"].endswith("/models/mine/with-a-token")
    assert json.loads(python(ticket, READ, end["output"]).stdout)["rows"] == 120
