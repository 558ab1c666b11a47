"""A cluster with Kerberos is refused before Spark starts where Java can't sign in, and no other cluster is."""

from __future__ import annotations

import pytest

from sparktrain.launcher.cluster_arguments import check_kerberos
from sparktrain.launcher.errors import CantSubmit

SITE = """<configuration><property><name>fs.defaultFS</name><value>hdfs://namenode:8020</value></property>
<property><name>hadoop.security.authentication</name><value>{}</value></property></configuration>"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose Hadoop asks for a way to sign in, and whose Java has some modules."""

    def made(asks: str, modules: str) -> None:
        program = tmp_path / "java" / "bin" / "java"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\nprintf '{modules}'\n")
        program.chmod(0o755)
        (tmp_path / "core-site.xml").write_text(SITE.format(asks))
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
        monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))

    return made


def test_a_java_without_kerberos_is_refused_for_a_cluster_that_asks_for_it(machine):
    machine("kerberos", "java.base@21\\njava.security.jgss@21\\n")
    with pytest.raises(
        CantSubmit, match=r"asks for Kerberos.*bin/java was linked without jdk\.security\.jgss.*set JAVA_HOME to it"
    ):
        check_kerberos()


@pytest.mark.parametrize("asks, modules", [("kerberos", "java.base@21\\njdk.security.jgss@21\\n"), ("simple", "java.base@21\\n")])
def test_others_are_not(machine, asks, modules):
    machine(asks, modules)
    check_kerberos()
