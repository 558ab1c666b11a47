"""`sparktrain doctor`: what facts mean, and one real examination."""

from __future__ import annotations

import json
import time

import pytest

from sparktrain.cli.command import main
from sparktrain.cluster.disks.local_disks import Spare
from sparktrain.cluster.executors.slots import Slots, count_slots
from sparktrain.doctor import verdicts
from sparktrain.doctor.examination import CheckTimedOut, Examination, run_with_time_limit
from sparktrain.doctor.executor_probe import tensorflow_gpus
from sparktrain.doctor.finding import Finding, exit_status, leave, redacted, report, worst
from sparktrain.doctor.local_checks import java
from sparktrain.doctor.storage_probe import try_storage
from sparktrain.launcher import cluster_arguments
from sparktrain.launcher.command_line import CommandLine
from sparktrain.launcher.java import ask_version, find_java
from sparktrain.storage import open_folder

VERSIONS = {
    "python": "3.11.7",
    "sparktrain": "1",
    "pyspark": "4.3.0",
    "keras": "3",
    "tensorflow-cpu": "2.21",
    "horovod": "0.28",
    "numpy": "2",
    "pyarrow": "26",
}
SLOTS = Slots(executors=2, cores=4, task_cpus=1, local=False)


def executor(number=0, host="a", **more):
    disk = {"path": "/d", "device": 1, "free": 5 * 10**9, "total": 10**10, "writable": True}
    return {
        "executor": f"{host} #{number}",
        "host": host,
        "versions": VERSIONS,
        "node_memory": 16 << 30,
        "nvidia_devices": 0,
        "gpus": [],
        "disks": [disk],
        **more,
    }


def without(*names, **others):
    return {name: version for name, version in (VERSIONS | others).items() if name not in names}


@pytest.mark.parametrize(
    "driver, there, engine, verdict, word",
    [
        (VERSIONS, [VERSIONS, VERSIONS], "horovod", "ok", ""),
        (VERSIONS, [without("tensorflow-cpu", tensorflow="2.21")], "horovod", "ok", ""),
        (without("horovod", "keras", "tensorflow-cpu"), [VERSIONS], "horovod", "ok", ""),
        (VERSIONS, [without("horovod")], "single", "ok", ""),
        (VERSIONS, [VERSIONS, without("horovod")], "horovod", "bad", "horovod on a #1"),
        (VERSIONS, [without("tensorflow-cpu")], "single", "bad", "tensorflow on a #0"),
        (VERSIONS, [VERSIONS], "tensorflowonspark", "bad", "tensorflowonspark on a #0"),
        (VERSIONS, [VERSIONS, {**VERSIONS, "keras": "4"}], "horovod", "bad", "different versions of keras"),
        ({**VERSIONS, "numpy": "1"}, [VERSIONS], "horovod", "warning", "numpy (1 and 2)"),
        ({**VERSIONS, "sparktrain": "0"}, [VERSIONS], "horovod", "bad", "sparktrain (0 and 1)"),
    ],
)
def test_versions(driver, there, engine, verdict, word):
    found = verdicts.versions(driver, [executor(number, versions=each) for number, each in enumerate(there)], engine)
    assert found.verdict == verdict and word in found.advice and "python 3.11.7" in found.found


@pytest.mark.parametrize(
    "cores, settings, workers, verdict, word",
    [
        ([4, 4], {}, 2, "ok", ""),
        ([4, 4], {"spark.executor.instances": "2"}, 2, "ok", ""),
        ([4], {}, 2, "bad", "--num-executors 2"),
        ([4, 2], {}, 2, "warning", "--executor-cores"),
        ([4, 4], {"spark.executor.instances": "3"}, 2, "warning", "3 were requested"),
    ],
)
def test_executors(cores, settings, workers, verdict, word):
    found = verdicts.executors(SLOTS, [{"cores": each} for each in cores], [executor(), executor(1, "b")], settings, workers)
    assert found.verdict == verdict and word in found.advice and "2 host(s)" in found.found and "16.0 GiB" in found.found


def test_executors_of_local_mode():
    slots = Slots(executors=1, cores=2, task_cpus=1, local=True)
    assert verdicts.executors(slots, [], [], {}, 2).verdict == "ok"
    assert "local[3]" in verdicts.executors(slots, [], [], {}, 3).advice


@pytest.mark.parametrize(
    "master, settings, resident, verdict, word",
    [
        ("spark://x:7077", {}, 9 << 30, "ok", "spark does not limit it"),
        ("local-cluster[2,1,1024]", {}, None, "ok", "local-cluster does not limit it"),
        ("yarn", {}, None, "ok", "384 MiB"),
        ("yarn", {"spark.executor.memoryOverhead": "2g"}, 1 << 30, "ok", "2,048 MiB"),
        ("yarn", {}, 1 << 30, "warning", "used 1,024 MiB"),
        ("k8s://https://x", {"spark.executor.memory": "4g"}, 1 << 30, "warning", "409 MiB"),
    ],
)
def test_memory(master, settings, resident, verdict, word):
    found = verdicts.memory(settings, master, resident)
    assert found.verdict == verdict and word in found.found


def sees(number, host, given, seen, cuda=True):
    return {**executor(number, host), "gpus": given, "seen": seen, "cuda_build": cuda, "said": "no libcuda"}


@pytest.mark.parametrize(
    "seen, verdict, word",
    [
        ([("a", ["0"], ["GPU:0"]), ("a", ["1"], ["GPU:0"]), ("b", ["0"], ["GPU:0"])], "ok", ""),
        ([("a", ["0"], ["GPU:0"]), ("a", ["0"], ["GPU:0"])], "bad", "GPU 0 of a"),
        ([("a", ["0"], ["GPU:0"]), ("b", ["0"], [])], "bad", "no libcuda"),
        ([("a", ["0", "1"], ["GPU:0"])], "bad", "on a #0 TensorFlow"),
        ([("a", ["0"], [], False)], "bad", "built without CUDA"),
        ([("a", ["0"], None, None)], "bad", "it failed. Its last lines:\nno libcuda"),
    ],
)
def test_gpus(seen, verdict, word):
    every = [sees(number, *each) for number, each in enumerate(seen)]
    found = verdicts.gpus(every, every)
    assert found.verdict == verdict and word in found.advice


def test_gpus_that_nobody_asked_for():
    assert verdicts.gpus([executor()], []).verdict == "ok"
    found = verdicts.gpus([executor(), executor(1, nvidia_devices=4)], [])
    assert found.verdict == "warning" and "4 NVIDIA" in found.found and "resource.gpu.amount" in found.advice


@pytest.mark.parametrize(
    "disk, verdict, word",
    [
        ({}, "ok", "room for at least 3.8 GB of segments; the least is on a #0: /d (5.0 of 10.0 GB free)"),
        ({"free": 12 * 10**8}, "bad", "room for at least 0.0 GB"),
        ({"writable": False}, "bad", "not writable"),
        ({"failed": "no such folder"}, "bad", "no such folder"),
    ],
)
def test_disks(disk, verdict, word):
    disks = [{"path": "/d", "device": 1, "free": 5 * 10**9, "total": 10**10, "writable": True, **disk}]
    found = verdicts.disks([executor(disks=disks)], Spare(256 << 20, 0.12))
    assert found.verdict == verdict and word in found.found


def test_two_local_dirs_of_one_disk_have_its_room_once():
    disks = [{"path": path, "device": 1, "free": 5 * 10**9, "total": 10**10, "writable": True} for path in ("/a", "/b")]
    assert "at least 5.0 GB" in verdicts.disks([executor(disks=disks)], Spare(0)).found


FAST, SLOW = ({"milliseconds": {"write": took, "read": 1.0}, "failed": None, "reason": None} for took in (2.0, 30.0))


@pytest.mark.parametrize(
    "tried, verdict, word",
    [
        ([FAST], "ok", "\nwrite 2 ms, read 1 ms"),
        ([{**FAST, "executor": "a #0"}, {**SLOW, "executor": "b #1"}], "ok", "slowest of 2: write 30 ms"),
        ([{"milliseconds": {}, "failed": "write", "reason": "no permission"}], "bad", "write failed: no permission"),
        (
            [{**FAST, "executor": "a #0"}, {"executor": "b #1", "milliseconds": {}, "failed": "claim", "reason": "why"}],
            "bad",
            "on 1 of 2 executors, first on b #1: claim failed: why",
        ),
        (
            [{**FAST, "executor": "a #0"}, {**FAST, "executor": "b #1", "sees_the_drivers_file": False}],
            "bad",
            "1 of 2 executors, first b #1, do not see",
        ),
    ],
)
def test_storage(tried, verdict, word):
    found = verdicts.storage("executors", tried, "hdfs://x/models")
    assert found.verdict == verdict and word in found.found and bool(found.advice) == (verdict == "bad")


def averages(rank, **more):
    return {"rank": rank, "host": f"h{rank}", "large": [0.5, 0.25, 0.1], "small": [0.001], "error": 1e-7, **more}


@pytest.mark.parametrize(
    "measured, verdict, word",
    [
        ([averages(0), averages(1)], "ok", "2 workers on 2 host(s): 64 MB in 250 ms (256 MB/s), one number in 1.0 ms"),
        ([averages(0), averages(1, large=[0.5])], "ok", "128 MB/s"),
        ([averages(0), averages(1, error=0.5)], "bad", "wrong by 0.5"),
        ([averages(0, error=float("nan")), averages(1)], "bad", "wrong by nan"),
        ([averages(0)], "ok", "one worker"),
    ],
)
def test_averaging(measured, verdict, word):
    found = verdicts.averaging("horovod", 64, measured)
    assert found.verdict == verdict and word in found.found


@pytest.mark.parametrize(
    "said, verdict",
    [
        (None, "bad"),
        ('java version "1.8.0_402"', "bad"),
        ('openjdk version "11.0.2" 2019', "bad"),
        ("what", "bad"),
        ('openjdk version "17.0.15" 2025-04-15\nmore', "ok"),
        ('openjdk version "21" 2023', "ok"),
    ],
)
def test_java(said, verdict):
    assert java(said).verdict == verdict


def test_java_s_version_is_told_from_what_its_options_say_before_it():
    found = java('Picked up JAVA_TOOL_OPTIONS: -Dx=y\nopenjdk version "17.0.15" 2025-04-15\nmore')
    assert found.verdict == "ok" and found.found == 'openjdk version "17.0.15" 2025-04-15'


@pytest.mark.parametrize(
    "program, said",
    [
        (
            "#!/bin/sh\necho 'openjdk version \"17\"'; echo 'Could not reserve enough space' >&2; exit 1\n",
            "Could not reserve enough space",
        ),
        ("\x7fELF, of another processor", "Exec format error"),
    ],
)
def test_a_java_that_fails_is_shown_with_what_it_says(tmp_path, monkeypatch, program, said):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").write_text(program)
    (tmp_path / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    status, text = ask_version(find_java())
    found = java(text, status)
    assert found.verdict == "bad" and "failed with exit status" in found.found and said in found.found


@pytest.mark.parametrize(
    "text, plain",
    [
        ("s3://key:se/cret@bucket/x: no", "s3://***@bucket/x: no"),
        ("at 'https://me:you@host:1/x' and hdfs://nn:8020/y", "at 'https://***@host:1/x' and hdfs://nn:8020/y"),
        ("https://host/x?token=abc&y=1 failed", "https://host/x?*** failed"),
        ("what? hdfs://nn/models", "what? hdfs://nn/models"),
    ],
)
def test_a_report_holds_no_credentials(text, plain):
    assert redacted({"a": [text, 1, None]}) == {"a": [plain, 1, None]}
    assert json.loads(report([Finding("c", text)], {"f": text, "nan": float("nan")}))["facts"] == {"f": plain, "nan": "nan"}


def test_the_verdict_on_all_and_where_the_report_goes(tmp_path, capsys):
    fine, odd, bad = (Finding("c", "f", verdict) for verdict in ("ok", "warning", "bad"))
    assert [worst(each) for each in ([fine], [odd, fine], [odd, bad, fine])] == ["ok", "warning", "bad"]
    assert [exit_status(each) for each in ([], [fine, odd], [fine, bad])] == [0, 0, 1]
    assert json.loads(leave([bad], {}, None))["verdict"] == "bad"
    assert leave([odd], {}, str(tmp_path / "r.json")).startswith("warning; ")
    assert json.loads((tmp_path / "r.json").read_text())["findings"][0]["verdict"] == "warning"
    assert json.loads(leave([fine], {}, str(tmp_path / "no" / "r.json")))["verdict"] == "ok"
    assert "no/r.json" in capsys.readouterr().err


def test_storage_that_fails_says_at_which_step(tmp_path, monkeypatch):
    folder = open_folder(tmp_path).join("doctor")
    tried = try_storage(folder)
    assert tried["failed"] is None and list(tried["milliseconds"]) == ["write", "read", "list", "claim", "publish", "remove"]
    monkeypatch.setattr(type(folder), "claim", lambda self, name, data: True)  # two who claim, and both get it
    tried = try_storage(folder)
    assert tried["failed"] == "claim" and "contradicts" in tried["reason"] and list(tmp_path.iterdir()) == []


def test_the_command_looks_at_this_machine_and_names_the_rest(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("HADOOP_CONF_DIR", raising=False)
    assert main(["doctor", "--output", f"file://{tmp_path}/new/models", "--json", str(tmp_path / "report.json")]) == 0
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["verdict"] == "ok" and "jobs/doctor.py" in told["findings"][-1]["advice"]
    assert told["facts"]["storage"]["driver"]["failed"] is None and not (tmp_path / "new" / "models").exists()
    assert "write" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["doctor", "--output", f"file://{tmp_path}/file/models"]) == 1
    bad = [each["check"] for each in json.loads(capsys.readouterr().out)["findings"] if each["verdict"] == "bad"]
    assert bad == ["storage from the driver"]


def test_the_launcher_gives_it_what_a_job_would_get(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_arguments, "packaged", lambda at: open_folder(f"{at}/python-1"))
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    program = ["jobs/doctor.py", "--output", "hdfs:///models"]
    options = (
        "--master",
        "spark://x:7077",
        "--deploy-mode",
        "cluster",
        "--conf",
        f"spark.sparktrain.packages={tmp_path}/envs",
    )
    line = CommandLine(options, program[0], tuple(program[1:]), is_doctor=True)
    made = cluster_arguments.build_doctor_command(line, tmp_path).words()
    assert made[-3:] == program and "spark.pyspark.python=./environment/bin/python" in made
    assert f"file://{tmp_path}/envs/python-1/environment.tar.gz#environment" in made
    assert made[len(made) - 1 - made[::-1].index("--deploy-mode") + 1] == "client"  # the last one counts


@pytest.mark.real
def test_a_fresh_interpreter_tells_what_tensorflow_sees(monkeypatch, tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nfrom types import SimpleNamespace as N\n"
        "names = os.environ['CUDA_VISIBLE_DEVICES'].split(',')\n"
        "test = N(is_built_with_cuda=lambda: True)\n"
        "config = N(list_physical_devices=lambda kind: [N(name=f'{kind}:{name}') for name in names])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert tensorflow_gpus(["2", "3"])["seen"] == ["GPU:2", "GPU:3"]
    (tmp_path / "tensorflow.py").write_text("raise ImportError('libcuda is not there')\n")
    broken = tensorflow_gpus(["0"])
    assert broken["seen"] is None and "libcuda is not there" in broken["said"]


@pytest.mark.real
@pytest.mark.slow
def test_an_examination_of_a_real_cluster(hdfs, spark):
    """All is well but the output: its folder can't be made, as a file is in its place."""
    root = open_folder(f"{hdfs.uri}/doctor")
    root.write_text("file", "in the way")
    examination = Examination(spark, f"{root.url}/file/models", workers=2, engine="horovod", megabytes=4)
    findings = {each.check: each for each in examination.run()}
    bad = {name for name, each in findings.items() if each.verdict == "bad"}
    assert bad == {"storage from the driver", "storage from the executors"}
    assert exit_status(list(findings.values())) == 1
    assert "file" in findings["storage from the driver"].found and "--output" in findings["storage from the driver"].advice
    assert findings["executors"].found.startswith("3 on 1 host(s), each with 1 core(s)")
    assert "2 workers" in findings["averaging, horovod"].found and "means are right" in findings["averaging, horovod"].found
    told = json.loads(report(list(findings.values()), examination.facts))["facts"]
    assert len(told["executors"]) == len(told["on_executors"]) == 3 and told["driver"]["java"]
    assert sum(told["feed"]["rows"]) * 1024 >= 4e6 and told["feed"]["filling"] > 0
    assert all(each["versions"] == told["driver"]["versions"] for each in told["on_executors"])

    examination = Examination(spark, f"{root.url}/new/models", workers=2, engine="horovod")
    examination._executor_facts, examination._slots = told["on_executors"], count_slots(spark.sparkContext)
    here, there = examination._storage_from_driver(), examination._storage_from_executors()
    assert (here.verdict, there.verdict) == ("ok", "ok"), (here.found, there.found)
    assert "slowest of 3: write" in there.found
    assert root.list() == ["file", "new"] and root.join("new").list() == []


def hang(rows):
    time.sleep(60)
    return rows


@pytest.mark.real
@pytest.mark.slow
def test_a_check_that_hangs_is_ended_with_its_jobs(spark):
    with pytest.raises(CheckTimedOut, match="within 2 s"):
        run_with_time_limit(spark, 2, lambda: spark.sparkContext.parallelize([1], 1).mapPartitions(hang).count())
    assert not spark.sparkContext.statusTracker().getActiveJobsIds()
    assert run_with_time_limit(spark, 10, lambda: 3) == 3


@pytest.mark.real
def test_what_needs_executors_is_not_tried_where_they_cannot_be_used(spark, tmp_path, monkeypatch):
    """It would take minutes to fail in the same way."""
    monkeypatch.setenv("PYSPARK_PYTHON", "/opt/python3.9")
    examination = Examination(spark, f"file://{tmp_path}/models", workers=2, engine="horovod")

    def executors():
        raise ModuleNotFoundError("No module named 'sparktrain'")

    examination._executors = executors
    findings = {each.check: each for each in examination.run()}
    assert "No module named 'sparktrain'" in findings["executors"].found and "/opt/python3.9" in findings["executors"].found
    assert {name for name, each in findings.items() if each.verdict == "bad"} == {"executors"}
    for check in ("versions on the executors", "GPUs", "local disks", "storage from the executors", "feed", "averaging, horovod"):
        assert findings[check].found == "skipped: see `executors`"
    assert "write" in findings["storage from the driver"].found
