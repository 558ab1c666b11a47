"""Workers that hear at different moments that training is to end after its epoch end after the same one."""

from __future__ import annotations

import pytest

from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import EpochEnd
from sparktrain.training.callbacks.stop_request import StopRequest, first_reason


def test_all_workers_go_by_the_first_reason_that_any_of_them_knows():
    assert first_reason([None, "late", "later"]) == "late" and first_reason([None, None]) is None


def test_the_first_reason_stays():
    request = StopRequest()
    assert request.reason is None
    request.ask("first")
    request.ask("second")
    assert request.reason == "first"


def dense():
    import keras

    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    return model


@pytest.fixture
def train(in_process, tmp_path):
    """Trains two workers for 6 epochs; `asked` says when each is asked: after which epoch, 0: before training."""

    def run(asked, **words):
        stops = [StopRequest(), StopRequest()]

        def hear(rank, event):
            if isinstance(event, EpochEnd) and asked[rank] == event.epoch:
                stops[rank].ask(f"rank {rank} was asked")

        def trainer(order, shard, collective, report):
            if asked[order.rank] == 0:
                stops[order.rank].ask(f"rank {order.rank} was asked")
            return in_process.train_keras(order, shard, collective, report, stops[order.rank])

        parts = [in_process.rows(40), in_process.rows(24, start=1000)]
        return in_process.train(parts, dense, output=tmp_path, epochs=6, trainer=trainer, on_event=hear, **words)

    return run


@pytest.mark.real
@pytest.mark.parametrize("asked, epochs", [([None, 2], 3), ([2, None], 3), ([0, 4], 1), ([None, 6], 6), ([None, None], 6)])
def test_two_workers_end_after_the_same_epoch_whichever_of_them_hears_first(train, asked, epochs):
    trained = train(asked)
    assert [each.epochs for each in trained.outcomes] == [epochs] * 2, trained.outcomes
    assert [each.stopped_early for each in trained.outcomes] == [epochs < 6] * 2
    who = next((rank for rank, at in enumerate(asked) if at is not None), None)
    told = [note for note in trained.outcomes[0].notes if note.startswith("stopped after")]
    assert told == ([f"stopped after epoch {epochs} of 6: rank {who} was asked"] if epochs < 6 else [])
    assert trained.outcomes[0].history == trained.outcomes[1].history and len(trained.outcomes[0].history["loss"]) == epochs
    assert trained.model.optimizer.iterations == 5 * epochs


@pytest.mark.real
def test_a_resumed_training_goes_on_unless_it_is_asked_itself_and_then_trains_no_further_epoch(train):
    words = {"keep_checkpoints": 9, "checkpoint_steps": 2}
    assert train([None, 1], **words).outcomes[0].epochs == 2
    between, within = Checkpoint(2, 0, 2), Checkpoint(1, 2, 2)
    resumed = train([None, 0], resume=between, **words).outcomes
    assert [each.epochs for each in resumed] == [2, 2] and "stopped after epoch 2 of 6: rank 1 was asked" in resumed[0].notes
    assert train([0, None], resume=within, **words).outcomes[0].epochs == 2, "the epoch that was begun is trained to its end"
    whole = train([None, None], resume=between, **words).outcomes[0]
    assert whole.epochs == 6 and not whole.stopped_early and not [note for note in whole.notes if "stopped" in note]
