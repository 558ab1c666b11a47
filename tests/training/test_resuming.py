"""A further attempt goes on from what each worker had, of the newest checkpoint that can be read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import Finished

pytestmark = pytest.mark.real
WORDS = {"epochs": 4, "keep_checkpoints": 9}


def dense(dtype="float32"):
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            layers.Dense(6, activation="tanh", dtype=dtype, kernel_initializer=keras.initializers.GlorotUniform(1)),
            layers.Dense(1, activation="sigmoid", dtype=dtype, kernel_initializer=keras.initializers.GlorotUniform(2)),
        ]
    )
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    return model


def worse():
    """From the second epoch on the model is made worse, so that the first is the best."""
    import keras

    class Worse(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch > 0:
                self.model.set_weights([0 * weight + 3 for weight in self.model.get_weights()])

    return [Worse()]


def alike(one, other) -> bool:
    for mine, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(np.asarray(mine, np.float32), np.asarray(expected, np.float32))
    return True


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_best_epochs_weights_are_kept_over_an_attempt_whatever_their_dtype(in_process, tmp_path, dtype):
    build = in_process.by_value(dense, dtype=dtype)
    parts = [in_process.rows(60)]
    whole = in_process.train(parts, build, output=tmp_path, callbacks=worse, save="best", **WORDS)
    expected = whole.model
    rest = in_process.train(parts, build, output=tmp_path, callbacks=worse, save="best", resume=Checkpoint(2, 0, 1), **WORDS)
    assert (whole.outcomes[0].best_epoch, rest.outcomes[0].best_epoch) == (1, 1)
    assert alike(rest.model, expected) and rest.outcomes[0].history == whole.outcomes[0].history


def test_a_checkpoint_within_an_epoch_over_other_rows_is_left_for_the_one_before_and_a_note_says_so(in_process, tmp_path):
    """Its steps would be laid over rows of which some were trained on already, and others never would be."""
    words = {**WORDS, "epochs": 2}
    in_process.train([in_process.rows(60)], dense, output=tmp_path, checkpoint_steps=3, **words)
    more = [in_process.rows(70)]
    rest = in_process.train(more, dense, output=tmp_path, resume=Checkpoint(1, 3, 1), **words)
    [broken, changed] = rest.outcomes[0].notes
    assert f"{Checkpoint(1, 3, 1).path}, the checkpoint of step 3 of epoch 2, is of other rows (54 then, 63 now)" in broken
    assert broken.endswith("continuing from the end of epoch 1") and "data.keep: storage" in broken
    assert changed.startswith("the training rows are others than those before the end of epoch 1 (54 then, 63 now)")
    expected = in_process.train(more, dense, output=tmp_path, resume=Checkpoint(1, 0, 1), **words)
    assert alike(rest.model, expected.model) and rest.outcomes[0].rows == expected.outcomes[0].rows

    same = in_process.train([in_process.rows(60)], dense, output=tmp_path, resume=Checkpoint(1, 0, 1), **words)
    assert same.outcomes[0].notes == []


def test_each_workers_callbacks_get_back_their_own_memory(in_process, tmp_path):
    def counting():
        import threading

        import keras

        class Counting(keras.callbacks.Callback):
            def __init__(self):
                super().__init__()
                self.rank = int(threading.current_thread().name)  # as SPARKTRAIN_RANK says it in a worker
                self.path, self.counted, self.drawn = tmp_path, 0, None

            def on_epoch_end(self, epoch, logs=None):
                self.counted += 1 + 10 * self.rank
                self.drawn = [*(self.drawn or []), np.full(2, 100 * self.rank + epoch)]
                if epoch == 2:
                    told = {"counted": self.counted, "rank": self.rank, "drawn": [int(each[0]) for each in self.drawn]}
                    (self.path / f"{self.rank}.json").write_text(json.dumps(told))

        return [Counting()]

    parts = [in_process.rows(40), in_process.rows(40, start=1000)]
    for words in ({}, {"resume": Checkpoint(1, 0, 2)}):
        done = in_process.train(parts, dense, output=tmp_path, callbacks=counting, **{**WORDS, "epochs": 3}, **words)
        assert all(isinstance(each, Finished) for each in done.outcomes), done.outcomes
        told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
        assert told == [{"counted": 3, "rank": 0, "drawn": [0, 1, 2]}, {"counted": 33, "rank": 1, "drawn": [100, 101, 102]}]


def test_memory_goes_with_the_part_and_what_runs_at_rank_0_with_that():
    import keras

    from sparktrain.training.callbacks.callback_memory import CallbackMemories, Memory, common, joined, to_json

    class Everywhere(keras.callbacks.Callback):
        def __init__(self, rank, made):
            super().__init__()
            self.rank, self.seen, self.alike, self.made = rank, 0, 0, made

    class First(keras.callbacks.Callback):
        best = None

    def fresh(rank):
        return [*([First()] if rank == 0 else []), Everywhere(rank, made="now")]

    memories = {}
    for part in (0, 1):  # of which part 0 is at rank 0
        callbacks = fresh(part)
        taking = CallbackMemories(callbacks)
        taking.begin()
        callbacks[-1].seen, callbacks[-1].alike, callbacks[0].best = 5 + part, 3, 0.5
        memories[part] = taking.state_dict()["memories"]
    written = json.loads(json.dumps(to_json(memories)))
    memories = {int(part): [Memory(**memory) for memory in each] for part, each in written.items()}

    def remind(callbacks, memories):
        CallbackMemories(callbacks).load_state_dict({"memories": memories, "arrays": {}})

    callbacks = fresh(0)  # now part 1 is
    remind(callbacks, joined(memories[1], memories[0]))
    assert (callbacks[1].rank, callbacks[1].seen, callbacks[1].alike) == (0, 6, 3) and callbacks[0].best == 0.5
    callbacks = fresh(1)
    remind(callbacks, memories[0])
    assert (callbacks[0].rank, callbacks[0].seen) == (1, 5)
    callbacks = fresh(2)  # of three workers, whose parts are others
    remind(callbacks, common(memories))
    assert (callbacks[0].rank, callbacks[0].seen, callbacks[0].alike) == (2, 0, 3)


@pytest.mark.parametrize("damage", ["cut off", "one byte"])
def test_a_checkpoint_that_can_not_be_read_is_named_and_the_one_before_is_gone_on_from(in_process, tmp_path, damage):
    parts = [in_process.rows(60)]
    whole = in_process.train(parts, dense, output=tmp_path, **WORDS)
    expected = whole.model
    newest = tmp_path / Checkpoint(3, 0, 1).path
    data = bytearray(newest.read_bytes())
    if damage == "cut off":
        data = data[: len(data) // 2]
    else:
        data[200] ^= 1  # in the first array's numbers
    newest.write_bytes(data)
    rest = in_process.train(parts, dense, output=tmp_path, resume=Checkpoint(3, 0, 1), **WORDS)
    [note] = rest.outcomes[0].notes
    assert f"{newest}, the checkpoint of the end of epoch 3, can't be read (" in note
    assert note.endswith("continuing from the end of epoch 2")
    assert rest.outcomes[0].history == whole.outcomes[0].history and alike(rest.model, expected)

    for file in (tmp_path / "checkpoints").iterdir():
        file.write_bytes(b"")
    again = in_process.train(parts, dense, output=tmp_path, resume=Checkpoint(3, 0, 1), **WORDS)
    assert len(again.outcomes[0].notes) == 3 and again.outcomes[0].notes[-1].endswith("continuing from the beginning")
    assert again.outcomes[0].history == whole.outcomes[0].history and alike(again.model, expected)
