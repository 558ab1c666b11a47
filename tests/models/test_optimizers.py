"""Every optimizer that a model holds is found, wherever it holds it."""

from __future__ import annotations

import functools

import pytest

pytestmark = pytest.mark.real


class Keeper:
    def __init__(self, kept):
        self.kept = kept

    def read(self):
        return self.kept


class Slotted:
    __slots__ = ("kept",)

    def __init__(self, kept):
        self.kept = kept


def closing_over(kept):
    return lambda: kept


def traced(kept):
    import tensorflow as tf

    return tf.function(closing_over(kept))


def compiled(kept):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(kept, "mse")
    return model


WAYS = {
    "attribute": lambda kept: kept,
    "list": lambda kept: [kept],
    "dict in a tuple": lambda kept: ({"one": kept},),
    "attribute of an attribute": lambda kept: Keeper(Keeper([kept])),
    "slot": Slotted,
    "compiled sub-model": compiled,
    "partial": lambda kept: functools.partial(print, optimizer=kept),
    "closure": closing_over,
    "tf.function": traced,
    "bound method": lambda kept: Keeper(kept).read,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_optimizer_is_found_wherever_a_model_holds_it(way):
    import keras

    from sparktrain.models.optimizers import optimizers_of

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    kept = keras.optimizers.SGD()
    model.something = WAYS[way](kept)
    assert [id(each) for each in optimizers_of(model)] == [id(model.optimizer), id(kept)]


def test_of_two_optimizers_one_in_the_other_the_inner_one_is_known_as_such():
    import keras

    from sparktrain.models.optimizers import optimizer_variables, optimizers_of, wrappers_of

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    inner = keras.optimizers.Adam()
    model.mine = inner
    model.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    model.optimizer.build(model.trainable_variables)
    assert [id(each) for each in optimizers_of(model)] == [id(model.optimizer), id(inner)]
    assert wrappers_of(model) == {id(model.optimizer): [], id(inner): [id(model.optimizer)]}
    variables = optimizer_variables(model)
    assert len(variables) == len({id(each) for each in variables}) == len(model.optimizer.variables)


def test_the_rate_that_two_optimizers_share_is_scaled_and_given_back_once():
    import keras

    from sparktrain.models.optimizers import optimizers_of
    from sparktrain.training.warmup import Warmup

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.25)), "mse")
    warmup = Warmup(optimizers_of(model), size=2, steps=0)
    warmup.step()
    assert float(model.optimizer.learning_rate) == 0.5 and warmup.note().count("0.25 to 0.5") == 1
    warmup.undo()
    assert float(model.optimizer.learning_rate) == 0.25
