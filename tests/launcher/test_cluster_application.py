"""A run whose program runs on the cluster: the launcher ends it there, whatever the cluster's logging shows."""

from __future__ import annotations

import io

import pytest

from sparktrain.launcher.cluster_application import ClusterApplication
from sparktrain.runs.folder import RunFolder


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What YARN is asked, as a Java that writes down its words hears it."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit ${{EXITS:-0}}\n')
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    monkeypatch.delenv("SPARK_HOME", raising=False)  # as the launcher is, without a Spark of the cluster's
    return lambda: (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""


@pytest.fixture
def run(tmp_path):
    return ClusterApplication("mine", f"file://{tmp_path}/models")


def test_an_application_that_spark_submit_tells_of_is_ended(run, asked, capfd):
    run.listen(io.BytesIO(b"23:59:59 INFO YarnClientImpl: Submitted application application_12_0003\n"))
    run._listener.join(10)
    assert run.stop() and "ApplicationCLI application -kill application_12_0003" in asked()
    assert run.end() is None and "application_12_0003" in run.where
    assert "asking YARN to end application_12_0003" in capfd.readouterr().err


def test_where_yarn_does_not_end_it_the_user_is_told_how_and_spark_submit_is_ended(run, asked, capfd, monkeypatch):
    monkeypatch.setenv("EXITS", "1")
    run.listen(io.BytesIO(b"23:59:59 INFO YarnClientImpl: Submitted application application_12_0003\n"))
    run._listener.join(10)
    assert not run.stop() and "end it with: yarn application -kill application_12_0003" in capfd.readouterr().err
    assert run.end() is None


def test_one_whose_line_is_hidden_is_found_by_its_run_and_spark_submit_is_ended_too(run, asked, tmp_path):
    RunFolder(f"file://{tmp_path}/models", "mine", {}).claim({"application": "application_12_0004", "user": "ann"})
    assert not run.stop() and "-kill application_12_0004" in asked()


def test_what_is_not_yarn_s_is_left_to_the_user_with_its_name(run, asked, tmp_path, capfd):
    RunFolder(f"file://{tmp_path}/models", "mine", {}).claim({"application": "spark-f2a1", "user": "ann"})
    assert not run.stop() and not asked() and "may still be running, as spark-f2a1" in capfd.readouterr().err


def test_before_there_is_an_application_spark_submit_alone_is_ended(run, asked):
    assert not run.stop() and not asked()
