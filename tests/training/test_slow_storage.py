"""A storage that is slow or away for a while holds up training as little as can be."""

from __future__ import annotations

import threading
import time

import numpy as np

from sparktrain.engines.single.collective import EngineCollective
from sparktrain.interfaces.checkpoints import Checkpoint, read
from sparktrain.storage import Folder, open_folder
from sparktrain.training.state import checkpoints
from sparktrain.training.state.stateful import FitState, Kind, Moment, Part


class Held:
    def __init__(self, **state):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = dict(state)


def parts():
    built = frozenset({Moment.BUILT})
    yield Part("callbacks", Held(memories=[], arrays={}), Kind.OWN, built)
    yield Part("variable", Held(**{"0": np.arange(3.0)}), Kind.SHARED, built)
    yield Part("facts", Held(stopped=False, averaged=[], epoch_seconds=1.0), Kind.SHARED, built)


def test_within_an_epoch_training_goes_on_without_a_checkpoint_and_after_it_waits_for_one(tmp_path, monkeypatch, capfd):
    back, upload = threading.Event(), Folder.upload
    monkeypatch.setattr(Folder, "upload", lambda *given: back.wait(60) and upload(*given))
    monkeypatch.setattr(checkpoints, "_PATIENCE", 0.05)
    folder = open_folder(f"file://{tmp_path}")
    writer = checkpoints.Checkpoints(
        FitState(list(parts())), EngineCollective(True), 0, folder, 9, 2, lambda message: None, [[6, 1]]
    )

    def written() -> set[Checkpoint]:
        return set(read([path.name for path in (tmp_path / "checkpoints").glob("*")]))

    writer.save(0, 2)
    writer.save(0, 4)
    assert not written() and "step 4 of epoch 1 is left out: the one before is still" in capfd.readouterr().out

    ended = threading.Thread(target=writer.save, args=(1, 0))
    ended.start()
    time.sleep(0.2)
    assert ended.is_alive() and not written()
    back.set()
    ended.join(30)
    writer.wait()
    assert written() == {Checkpoint(0, 2, 1), Checkpoint(1, 0, 1)}
