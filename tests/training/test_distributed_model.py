"""A Keras model that the workers of an own loop train together: what its methods make of them is that of one process."""

from __future__ import annotations

import re

import cloudpickle
import keras
import numpy as np
import pytest
import tensorflow as tf

from sparktrain.interfaces.messages import Finished
from sparktrain.models.errors import TrainingError

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def loop(in_process, tmp_path):
    """Runs a function in workers of so many rows each; what each returned, or the errors that were expected."""
    from sparktrain.training import own_loop

    def call(function, *counts, fails=False):
        parts = [in_process.rows(count, start=1000 * part) for part, count in enumerate(counts)]
        run = in_process.train(parts, function, output=tmp_path, trainer=own_loop.run, own_loop=True)
        if fails:
            errors = [str(each) for each in run.outcomes if isinstance(each, TrainingError)]
            assert errors, run.outcomes
            return errors
        assert all(isinstance(each, Finished) for each in run.outcomes), run.outcomes
        return [cloudpickle.loads((tmp_path / f"returned-{rank}.pickle").read_bytes()) for rank in range(len(counts))]

    return call


def dense(metrics=("AUC", "accuracy")):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(3)),
            keras.layers.Dense(1, activation="sigmoid", kernel_initializer=keras.initializers.GlorotUniform(4)),
        ]
    )
    model.compile(keras.optimizers.SGD(0.3, momentum=0.9), "binary_crossentropy", metrics=list(metrics))
    return model


def recording(dataset, batches):
    """The dataset, whose batches go into a list as they are read."""

    def record(x, y):
        batches.append((x, y))
        return x, y

    def through(x, y):
        both = tf.numpy_function(record, [x, y], [x.dtype, y.dtype])
        for each, was in zip(both, (x, y)):
            each.set_shape(was.shape)
        return tuple(both)

    return dataset.map(through)


def of_all(worker, batches):
    """All workers' batches, step by step."""
    return [tuple(np.concatenate(parts) for parts in zip(*step)) for step in zip(*worker.gather(batches), strict=True)]


def plain(batches):
    """What one process makes of the batches, and what it tells of each."""
    model = dense()
    told = [model.train_on_batch(x, y, return_dict=True) for x, y in batches]
    return model, told


def apart(model, other):
    return max(float(np.abs(mine - theirs).max()) for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True))


def fitting(worker):
    """Fits on what is made of the worker's dataset, and on data of its own; how far from one process each is."""

    def scaled(x, y):
        return x * 2.0, y

    found = {}
    batches = []
    model = worker.distribute(dense())
    history = model.fit(
        recording(worker.dataset(8).map(scaled), batches).prefetch(1), epochs=2, validation_data=worker.validation(4).map(scaled)
    ).history
    steps = of_all(worker, batches)
    one, _ = plain(steps)
    found["mapped"] = apart(model, one)
    held_out = of_all(worker, [next(iter(worker.validation(100).map(scaled)))])
    found["validation"] = history["val_loss"][-1] - one.evaluate(*held_out[0], verbose=0, return_dict=True)["loss"]
    found["evaluate"] = np.subtract(
        model.evaluate(worker.validation(4).map(scaled), verbose=0), one.evaluate(*held_out[0], verbose=0)
    ).tolist()
    found["predicted"] = len(model.predict(worker.validation(4), verbose=0))

    batches = []
    model = worker.distribute(dense())
    # Repeated, and read ahead of: the batches that were read last may be of no step
    model.fit(recording(worker.dataset(8), batches).cache().repeat(), steps_per_epoch=5, epochs=3, initial_epoch=1)
    steps = of_all(worker, batches)
    found["repeated"] = apart(model, plain((steps * 10)[:10])[0])
    found["empty"] = sum(not len(x) for x, _ in batches)

    class Evaluating(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found["within"] = self.model.evaluate(worker.validation(4), verbose=0)[0] - logs["val_loss"]

    model.fit(worker.dataset(8), validation_data=worker.validation(4), callbacks=[Evaluating()])

    x, y = (np.concatenate(parts) for parts in zip(*worker.dataset(8)))
    model = worker.distribute(dense())
    rows = len(x) - len(x) % 2
    mine = [(x[: rows // 2], y[: rows // 2]), (x[rows // 2 : rows], y[rows // 2 : rows])]
    model.fit(x[:rows], y[:rows], rows // 2, shuffle=False)
    steps = of_all(worker, mine)
    one, told = plain(steps)
    found["arrays"] = apart(model, one)

    model = worker.distribute(dense())
    logs = [model.train_on_batch(*batch, return_dict=True) for batch in mine]
    found["on batch"] = apart(model, one)
    found["logs"] = [
        np.subtract([each[name] for name in expected], [*expected.values()]).tolist() for each, expected in zip(logs, told)
    ]
    found["tested"] = np.subtract(model.test_on_batch(*mine[0]), one.test_on_batch(*steps[0])).tolist()
    empty = (x[:0], y[:0])
    first = [*mine, mine[0] if worker.rank == 0 else empty]  # a step in which rank 1 has no row
    model.train_on_batch(*first[-1])
    one.train_on_batch(*of_all(worker, [first[-1]])[0])
    found["without rows"] = apart(model, one)
    return found


def test_what_the_workers_make_of_data_of_any_kind_is_what_one_process_makes_of_all_of_it(loop):
    both = loop(fitting, 60, 4)
    for found in both:
        assert found.pop("predicted") and found.pop("empty") == (0 if found is both[0] else 4)
        assert all(np.max(np.abs(far)) < 2e-5 for far in found.values()), found


def counting(worker, how):
    """A fit for which the workers have different numbers of batches, or none that is known."""
    x, y = np.zeros((24 if worker.rank == 0 else 16, 4), np.float32), np.zeros(24 if worker.rank == 0 else 16, np.int64)
    generator = ((x[:8], y[:8]) for _ in range(3 if worker.rank == 0 else 2))
    calls = {
        "arrays": lambda fit: fit(x, y, batch_size=8),
        "filtered": lambda fit: fit(worker.dataset(8).filter(lambda x, y: tf.size(y) > 1)),
        "endless": lambda fit: fit(worker.dataset(8).repeat()),
        "short": lambda fit: fit(worker.dataset(8), steps_per_epoch=2, epochs=2),
        "ends": lambda fit: fit(generator, steps_per_epoch=3),
        "words": lambda fit: fit(worker.dataset(8), epochs=1 + worker.rank),
        "validation": lambda fit: fit(worker.dataset(8), validation_data=worker.validation(8) if worker.rank == 0 else None),
        "rows": lambda fit: worker.distribute(dense()).train_on_batch(x[:0], y[:0]),
        "alone": lambda fit: (
            worker.distribute(dense()).train_on_batch if worker.rank else worker.distribute(dense()).test_on_batch
        )(x[:8], y[:8]),
        "nothing": lambda fit: fit(),
        "callback": lambda fit: fit(worker.dataset(8), callbacks=[keras.callbacks.BackupAndRestore("here")]),
    }
    calls[how](worker.distribute(dense([])).fit)


@pytest.mark.parametrize(
    "how, told",
    [
        ("arrays", r"another number of batches on each worker \(rank 0: 3, rank 1: 2\).* steps_per_epoch"),
        ("filtered", "a _FilterDataset that doesn't say how many batches it has"),
        ("endless", "a _RepeatDataset that has no end, .*give fit steps_per_epoch"),
        ("short", r"steps_per_epoch is 2 for 2 epoch\(s\), and the _PrefetchDataset|_OptionsDataset has 3 batches"),
        ("ends", "this worker's data ended after 2 of 3 steps of epoch 1"),
        ("words", "different arguments: epochs is rank 0: 1, rank 1: 2"),
        ("validation", "different arguments: validation data is rank 0: True, rank 1: False"),
        ("rows", "call train_on_batch together, with rows on at least one"),
        ("alone", "rank 0: test_on_batch of 8 rows, rank 1: train_on_batch of 8 rows"),
        ("nothing", "no data came"),
        ("callback", "callbacks: BackupAndRestore would start rank 0 in another epoch"),
    ],
)
def test_a_call_that_would_leave_workers_waiting_is_refused_with_what_each_has(loop, in_process, how, told):
    for error in loop(in_process.by_value(counting, how=how), 24, 24, fails=True):
        assert re.search(told, error), error


WORDS = ["a b a c", "b d", "e a", "c c d", "f"]


def adapting(worker):
    """Layers that are adapted to the rows of both workers, of which rank 1 has the fewer."""
    rows = slice(None, 3) if worker.rank == 0 else slice(3, None)
    numbers = np.random.default_rng(5).normal(3.0, 2.0, (40, 4)).astype(np.float32)
    own = numbers[:30] if worker.rank == 0 else numbers[30:]
    layers = {
        "words": (lambda: keras.layers.TextVectorization(output_mode="int"), WORDS, WORDS[rows]),
        "tf-idf": (lambda: keras.layers.TextVectorization(output_mode="tf_idf"), WORDS, WORDS[rows]),
        "strings": (lambda: keras.layers.StringLookup(), [[each[0]] for each in WORDS], [[each[0]] for each in WORDS[rows]]),
        "integers": (
            lambda: keras.layers.IntegerLookup(max_tokens=4),
            np.arange(40).reshape(-1, 2) % 7,
            np.arange(40).reshape(-1, 2)[: 15 if worker.rank == 0 else None][0 if worker.rank == 0 else 15 :] % 7,
        ),
        "normalized": (lambda: keras.layers.Normalization(), numbers, own),
        "bins": (lambda: keras.layers.Discretization(num_bins=4), numbers[:, :1], own[:, :1]),
    }
    found = {}
    for name, (make, every, mine) in layers.items():
        alone, together = make(), make()
        alone.adapt(np.asarray(every) if name in ("integers", "normalized", "bins") else tf.constant(every))
        batches = tf.data.Dataset.from_tensor_slices(mine).batch(4)
        worker.adapt(together, batches)
        if name in ("normalized", "bins"):
            found[name] = float(np.abs(np.asarray(together(every), np.float64) - np.asarray(alone(every), np.float64)).max())
        else:
            found[name] = float(together.get_vocabulary() != alone.get_vocabulary())
        if name == "tf-idf":  # Keras keeps them in the layer within
            weights = [layer._lookup_layer.idf_weights.numpy() for layer in (alone, together)]
            found["idf weights"] = float(np.abs(np.subtract(*weights)).max())
    before = worker.rows
    spread = worker.adapt(keras.layers.Normalization(), worker.dataset(4))
    every = np.concatenate([x for part in worker.gather([x.numpy() for x, _ in worker.dataset(4)]) for x in part])
    found["own rows"] = float(np.abs(spread.adapt_mean.numpy() - every.mean(axis=0)).max())
    found["empty"] = worker.adapt(keras.layers.Normalization(), worker.dataset(4).filter(lambda *_: worker.rank == 0)).built
    return found, before


def test_layers_are_adapted_to_the_rows_of_all_workers_as_one_process_would(loop):
    for found, before in loop(adapting, 40, 3):
        assert found.pop("empty") and before == 0
        assert all(far < 1e-5 for far in found.values()), found


def vocabularies(worker, how):
    """A model with a vocabulary that each worker, or rank 0 alone, has learned by itself."""
    lookup, spread = keras.layers.StringLookup(name="words"), keras.layers.Normalization(name="spread")
    spread.build((None, 1))
    text, number = keras.Input((1,), dtype="string"), keras.Input((1,))
    model = keras.Model(
        [text, number],
        keras.layers.Dense(1)(keras.layers.Concatenate()([keras.ops.cast(lookup(text), "float32"), spread(number)])),
    )
    model.compile("sgd", "mse")
    if how == "late":
        worker.distribute(model)
    if how != "rank 0" or worker.rank == 0:
        lookup.adapt(tf.constant([["a"], ["b"]] if worker.rank == 0 else [["b"], ["c"]]))
        spread.adapt(np.array([[1.0], [3.0]]))
    worker.distribute(model)
    return lookup.get_vocabulary(), float(np.ravel(spread.mean)[0])


def test_a_vocabulary_of_one_workers_rows_is_refused_and_that_of_rank_0_alone_is_given_to_all(loop, in_process):
    told = "layer 'words' .StringLookup. has learned something else on rank 1 than on rank 0.*worker.adapt"
    assert all(re.search(told, each) for each in loop(in_process.by_value(vocabularies, how="each"), 8, 8, fails=True))
    first, second = loop(in_process.by_value(vocabularies, how="rank 0"), 8, 8)
    assert first == second == (["[UNK]", "b", "a"], 2.0)


class Traced(keras.layers.Layer):
    """Counts how often it is traced or called."""

    times = 0

    def call(self, inputs):
        self.times += 1
        return inputs


class Pair(keras.Model):
    """Trained by its own step, as its parts have no order: it has no call."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        self.decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
        self.far = keras.metrics.Mean(name="far")

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.decoder(self.encoder(x)) - x) ** 2)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights))
        self.far.update_state(loss, sample_weight=tf.shape(x)[0])
        return {"far": self.far.result()}


def odd(worker, folder):
    """Models as their users have them, and callbacks that write."""
    found = {}
    unbuilt = keras.Sequential([Traced(), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    worker.distribute(unbuilt)
    orders = []
    for _ in range(3):
        seen = []
        unbuilt.fit(recording(worker.dataset(8), seen))
        orders.append(np.concatenate([x for x, _ in seen]).tolist())
        found.setdefault("traced", []).append(unbuilt.layers[0].times)
    found["orders"] = len({str(each) for each in orders}), len({str(sorted(each)) for each in orders})
    unbuilt.compile("adam", "mae")  # anew, and later than it was distributed
    found["compiled"] = unbuilt.fit(worker.dataset(8)).history["loss"]
    found["unbuilt"] = unbuilt.get_weights()

    pair = Pair()
    pair.compile("sgd")
    worker.distribute(pair).fit(
        worker.dataset(8),
        callbacks=[
            keras.callbacks.CSVLogger(f"{folder}/log-{worker.rank}.csv"),
            keras.callbacks.ModelCheckpoint(
                f"{folder}/pair-{worker.rank}.weights.h5", monitor="far", mode="min", save_weights_only=True
            ),
        ],
    )
    found["pair"] = pair.get_weights(), pair.history.history["far"]

    normal = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)])
    normal.compile("sgd", "mse", metrics=[keras.metrics.F1Score(threshold=0.5)])
    worker.distribute(normal)
    for x, y in worker.dataset(8):
        told = normal.train_on_batch(x, tf.cast(y[:, None], tf.float32))
    found["normal"] = normal.get_weights()
    found["told"] = told, normal.evaluate(worker.validation(8).map(lambda x, y: (x, y[:, None])), verbose=0)
    return found


def test_models_of_any_build_are_trained_and_callbacks_that_write_do_so_on_rank_0(loop, in_process, tmp_path):
    first, second = loop(in_process.by_value(odd, folder=str(tmp_path)), 40, 26)
    assert first["traced"] == second["traced"] and len(set(first["traced"])) == 1
    assert first["orders"] == second["orders"] == (3, 1)
    for name in ("compiled", "unbuilt", "pair", "normal", "told"):
        for mine, theirs in zip(keras.tree.flatten(first[name]), keras.tree.flatten(second[name]), strict=True):
            np.testing.assert_array_equal(mine, theirs, name)
    assert sorted(path.name for path in tmp_path.glob("*-?.*") if "returned" not in path.name) == [
        "log-0.csv",
        "pair-0.weights.h5",
    ]


def test_workers_that_write_one_file_are_told_who_should(in_process, tmp_path):
    from sparktrain.training import own_loop

    def writing(worker, path):
        import h5py

        if worker.rank == 0:
            file = h5py.File(path, "w")
        worker.gather(None)
        if worker.rank == 1:
            file = h5py.File(path, "w")
        worker.gather(None)
        file.close()

    run = in_process.train(
        [in_process.rows(8)] * 2,
        in_process.by_value(writing, path=str(tmp_path / "one.h5")),
        output=tmp_path,
        trainer=own_loop.run,
        own_loop=True,
    )
    assert isinstance(run.outcomes[1], own_loop.FileTaken) and "only where worker.rank == 0" in str(run.outcomes[1]), run.outcomes


def test_what_callbacks_write_to_relative_paths_is_kept_with_a_job_and_told_of_in_an_own_loop(in_process, tmp_path, monkeypatch):
    from sparktrain.training.callbacks.callback_files import note_relative_paths

    (tmp_path / "here" / "kept").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")

    def callbacks():
        return [
            keras.callbacks.CSVLogger("log.csv"),
            keras.callbacks.CSVLogger("../other.csv"),
            keras.callbacks.EarlyStopping("loss"),
            keras.callbacks.ModelCheckpoint("kept/best-{epoch:02d}-{loss:.1f}.keras"),
            keras.callbacks.ModelCheckpoint(str(tmp_path / "lasting.keras")),
        ]

    run = in_process.train([in_process.rows(8)] * 2, dense, output=tmp_path / "run", callbacks=callbacks)
    assert all(isinstance(each, Finished) for each in run.outcomes), run.outcomes
    kept = sorted(path.relative_to(tmp_path / "run" / "files").as_posix() for path in (tmp_path / "run" / "files").rglob("*.*"))
    assert kept[-1] == "log.csv" and len(kept) == 3 and all(re.match(r"kept/best-0[12]-.*keras", each) for each in kept[:2])
    assert (tmp_path / "lasting.keras").exists()
    notes = []
    note_relative_paths(callbacks(), notes.append)
    assert len(notes) == 3 and re.match("CSVLogger writes to log.csv in rank 0's working folder, which is removed", notes[0])


def test_rows_go_to_a_models_inputs_in_the_features_order_and_labels_to_its_outputs():
    from types import SimpleNamespace

    from sparktrain.training.tensorflow import in_model_s_structure

    own = SimpleNamespace(inputs=["b", "a"])
    element = ({"b": np.zeros((3, 2)), "a": np.ones((3, 1))}, (np.arange(3), -np.arange(3)))
    dataset = tf.data.Dataset.from_tensors(element)
    wide, narrow = keras.Input((2,)), keras.Input((1,))
    both = keras.layers.Concatenate()([wide, narrow])
    model = keras.Model([wide, narrow], {"up": keras.layers.Dense(1)(both), "down": keras.layers.Dense(1)(both)})
    inputs, labels = next(iter(in_model_s_structure(dataset, model, own)))
    assert [each.shape[1] for each in inputs] == [2, 1]
    assert labels["up"].numpy().tolist() == [0, 1, 2] and labels["down"].numpy().tolist() == [0, -1, -2]
    named = keras.Model(
        {"a": (a := keras.Input((1,), name="a")), "b": (b := keras.Input((2,), name="b"))}, keras.layers.Concatenate()([a, b])
    )
    assert in_model_s_structure(dataset, named, own) is dataset


def test_numbers_of_all_rows_stand_where_keras_has_its_own():
    from sparktrain.training.metrics.log_numbers import numbers, shaped

    logs = {"loss": 0.5, "f1": np.array([0.25, 0.75], np.float32), "more": {"one": 1.0}}
    told = shaped(logs, {name: 2 * value for name, value in numbers(logs).items()})
    assert told["loss"] == 1.0 and told["more"] == {"one": 2.0} and told["f1"].tolist() == [0.5, 1.5]
