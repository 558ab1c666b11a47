"""What every store does alike: memory, a local disk, a store without renames, and a real HDFS."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparktrain.storage import NotFound, StorageError

ODD_NAMES = ["a b", "ü→", "100%", "%41", "a+b", "a#b", "#LATEST", "a?b=c&d", "a;b", "[a]*", "'a'", "~", ".hidden", "_runs"]


def test_what_was_written_is_read_back_and_replaced_whole(folder, reopen):
    data = bytes(range(256)) * 5000
    folder.write_bytes("deep/down/data.bin", data)
    folder.write_text("deep/note.txt", "first, and longer")
    folder.write_text("deep/note.txt", "zweite ü")
    folder.write_bytes("deep/empty", b"")
    other = reopen().join("deep")
    assert other.join("down").read_bytes("data.bin") == data
    assert other.read_text("note.txt") == "zweite ü"
    assert other.read_bytes("empty") == b""
    assert other.list() == ["down", "empty", "note.txt"]
    assert other.size("note.txt") == len("zweite ü".encode()) and other.size() == len(data) + 9
    assert other.exists() and other.exists("down") and other.exists("down/data.bin") and not other.exists("data.bin")


def test_names_are_taken_as_they_are(folder):
    for name in ODD_NAMES:
        folder.write_text(name, name)
        folder.write_text(f"{name}.d/{name}", name)
    assert folder.list() == sorted(ODD_NAMES + [f"{name}.d" for name in ODD_NAMES])
    assert [folder.read_text(name) for name in ODD_NAMES] == ODD_NAMES
    assert [folder.join(f"{name}.d").list() for name in ODD_NAMES] == [[name] for name in ODD_NAMES]


def test_a_file_and_a_tree_go_up_and_come_down_the_same(folder, tmp_path):
    (tmp_path / "up/model/variables").mkdir(parents=True)
    (tmp_path / "up/model/variables/0 of 1").write_bytes(os.urandom(3_000_000))
    (tmp_path / "up/model/.crc").write_bytes(b"\x00")
    (tmp_path / "up/none").touch()
    folder.upload(tmp_path / "up/model", "pipeline")
    folder.upload(tmp_path / "up/none", "logs/none")
    folder.upload(tmp_path / "up/model/.crc", "logs/none")
    assert folder.list() == ["logs", "pipeline"] and folder.join("pipeline").list() == [".crc", "variables"]
    folder.download("pipeline", tmp_path / "down")
    folder.download("logs/none", tmp_path / "file")
    for name in (".crc", "variables/0 of 1"):
        assert (tmp_path / "down" / name).read_bytes() == (tmp_path / "up/model" / name).read_bytes()
    assert (tmp_path / "file").read_bytes() == b"\x00"
    assert sorted(path.name for path in (tmp_path / "down").iterdir()) == [".crc", "variables"]
    folder.download("", tmp_path / "all")
    assert (tmp_path / "all/logs/none").read_bytes() == b"\x00"


def test_removing_spares_a_full_folder_unless_asked_and_forgives_what_is_gone(folder):
    folder.write_text("run/logs/a", "a")
    folder.write_text("run/b", "b")
    with pytest.raises(StorageError, match="not empty.*recursive=True"):
        folder.remove("run")
    folder.remove("run/b")
    assert folder.join("run").list() == ["logs"]
    folder.remove("run", recursive=True)
    folder.remove("run", recursive=True)
    assert not folder.exists("run")


def test_of_many_claimants_one_wins_and_its_content_stands(reopen):
    def claim(number: int) -> bool:
        return reopen().claim("_runs/id.claim", f"run {number}".encode() * 1000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))
    assert won.count(True) == 1
    folder = reopen().join("_runs")
    assert folder.read_text("id.claim") == f"run {won.index(True)}" * 1000
    assert folder.list() == ["id.claim"]
    assert not claim(9)


def _stage(folder, staged: str, run: str) -> None:
    folder.write_text(f"{staged}/model.keras", run)
    folder.write_text(f"{staged}/logs/train/events", "events")
    folder.write_text(f"{staged}/summary.json", run)


def test_a_published_folder_is_there_with_all_its_files_and_its_stage_is_gone(folder, reopen):
    _stage(folder, "_runs/one", "1")
    folder.publish("_runs/one", "one")
    other = reopen()
    assert other.join("one").list() == ["logs", "model.keras", "summary.json"]
    assert other.read_text("one/logs/train/events") == "events"
    assert not other.exists("_runs/one")


@pytest.mark.parametrize("there", ["one/summary.json", "one/model.keras", "one"])
def test_publishing_never_replaces_nor_moves_into_what_is_there(folder, there):
    folder.write_text(there, "earlier")
    _stage(folder, "_runs/one", "later")
    with pytest.raises(StorageError, match=r"/one: .*_runs/one.*never replaced.*another run id"):
        folder.publish("_runs/one", "one")
    assert folder.read_text(there) == "earlier"
    assert folder.size("one") == len("earlier")
    assert folder.read_text("_runs/one/model.keras") == "later"


def test_of_runs_that_publish_under_one_id_one_wins_whole(reopen):
    runs = [f"run{number}" for number in range(4)]
    for run in runs:
        _stage(reopen(), f"_runs/{run}", run)

    def publish(run: str) -> bool:
        try:
            reopen().publish(f"_runs/{run}", "id")
        except StorageError as error:
            assert "something is there already" in str(error)  # noqa: PT017
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(publish, runs))
    assert won.count(True) == 1
    winner = runs[won.index(True)]
    folder = reopen()
    assert folder.join("id").list() == ["logs", "model.keras", "summary.json"]
    assert folder.read_text("id/model.keras") == folder.read_text("id/summary.json") == winner
    assert folder.join("_runs").list() == sorted(set(runs) - {winner})


def test_what_is_not_complete_is_not_published(folder):
    folder.write_text("_runs/one/model.keras", "1")
    with pytest.raises(NotFound, match="no summary.json"):
        folder.publish("_runs/one", "one")
    with pytest.raises(NotFound):
        folder.publish("_runs/nowhere", "two")
    assert folder.list() == ["_runs"]


def test_what_a_killed_writer_left_is_neither_seen_nor_published(folder):
    _stage(folder, "_runs/one", "1")
    folder.write_text("_runs/one/logs/.sparktrain-0123456789abcdef.part", "half")
    assert folder.join("_runs/one/logs").list() == ["train"]
    folder.publish("_runs/one", "one")
    assert not folder.exists("one/logs/.sparktrain-0123456789abcdef.part")


def test_what_is_missing_is_named_with_its_url(folder, tmp_path):
    folder.write_text("file", "x")
    for ask in (
        lambda: folder.read_bytes("no.such"),
        lambda: folder.join("no.such").list(),
        lambda: folder.size("no.such"),
        lambda: folder.download("no.such", tmp_path / "x"),
    ):
        with pytest.raises(NotFound) as error:
            ask()
        assert f"{folder.url}/no.such: " in str(error.value) and "no such file or folder" in str(error.value)
    with pytest.raises(NotFound, match="nothing to upload"):
        folder.upload(tmp_path / "missing", "x")
    assert not (tmp_path / "x").exists()
    assert not folder.exists("file/below")


def test_a_file_where_a_folder_is_needed_is_an_error_that_says_so(folder):
    folder.write_text("file", "x")
    folder.write_text("folder/file", "x")
    for ask in (
        lambda: folder.join("file").list(),
        lambda: folder.write_text("file/below", "x"),
        lambda: folder.write_text("folder", "x"),
        lambda: folder.read_bytes("folder"),
    ):
        with pytest.raises(StorageError) as error:
            ask()
        assert str(error.value).startswith(folder.url)
    assert folder.read_text("file") == "x" and folder.read_text("folder/file") == "x"


@pytest.mark.parametrize("name", ["..", "a/../../b", "/etc", "a//b", "a/", "."])
def test_a_name_never_leads_out_of_its_folder(folder, name):
    for ask in (folder.join, folder.exists, folder.read_bytes, lambda name: folder.remove(name, recursive=True)):
        with pytest.raises(ValueError, match="names nothing under"):
            ask(name)
