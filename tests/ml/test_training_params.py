"""The estimators' Params are those of the configuration, in Spark ML's spelling and by its conventions."""

from __future__ import annotations

import pytest

from sparktrain.config import ConfigError
from sparktrain.config.keywords import KEYWORDS
from sparktrain.ml import KerasClassifier, KerasEstimator, KerasRegressor
from sparktrain.ml.training_params import TRAINING, camel, snake

pytestmark = pytest.mark.usefixtures("spark")  # Spark ML makes no Param without a session


def test_every_word_of_training_is_a_param_with_its_text_and_default():
    estimator = KerasClassifier()
    for name, word in TRAINING.items():
        param = estimator.getParam(name)
        assert param.doc == " ".join(KEYWORDS[word].text.split())
        assert (KEYWORDS[word].default is not None) == estimator.hasDefault(param)
        assert hasattr(estimator, f"set{name[0].upper()}{name[1:]}") and hasattr(estimator, f"get{name[0].upper()}{name[1:]}")
    assert "epochs: How many times to train" in estimator.explainParams()
    assert {"featuresCol", "labelCol", "predictionCol", "probabilityCol", "rawPredictionCol", "weightCol"} <= {
        param.name for param in estimator.params
    }
    assert (
        not estimator.hasParam("features")
        and KerasEstimator().hasParam("features")
        and not KerasRegressor().hasParam("rawPredictionCol")
    )


def test_setters_chain_and_copies_are_their_own():
    estimator = KerasClassifier(build="mine:build").setBatchSize(32).setEpochs(3).setLabelCol("late")
    assert (estimator.getBatchSize(), estimator.getEpochs(), estimator.getLabelCol()) == (32, 3, "late")
    assert estimator.getFeaturesCol() == "features" and estimator.getEngine() == "horovod" and not estimator.isSet("engine")
    other = estimator.copy({estimator.epochs: 9})
    assert (other.getEpochs(), estimator.getEpochs(), other.uid, other.getBuild()) == (9, 3, estimator.uid, "mine:build")
    assert {param.name: value for param, value in other.extractParamMap().items()}["epochs"] == 9
    assert estimator.setParams(workers=2, earlyStopping={"patience": 2}) is estimator and estimator.getWorkers() == 2
    assert other.clear(other.epochs) is None and other.getEpochs() == 5


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batchSize", 0, r"training\.batch_size: 0 came; expected a whole number \(at least 1\)"),
        ("engine", "spark", "expected horovod | tensorflowonspark | mirrored | single"),
        ("earlyStopping", {"patients": 2}, "did you mean .*patience"),
        ("seed", -1, "seed: -1 came"),
        ("featuresCol", 3, "Could not convert"),
        ("build", 3, "expected a function that returns a compiled model, module:function"),
        ("args", {"units": object()}, "arguments are sent to the workers as JSON"),
    ],
)
def test_a_value_that_cannot_be_is_a_type_error_as_of_spark_s_own_converters(name, value, said):
    with pytest.raises(TypeError, match=said):
        KerasClassifier(**{name: value})


def test_parameters_of_other_estimators_are_named_with_what_to_use_instead():
    with pytest.raises(ConfigError) as refused:
        KerasClassifier(num_proc=2, batch_size=32, optimizer="adam", nb_epoch=3, epoch=5, feature_cols=["x"], nonsense=1)
    said = str(refused.value)
    for line in (
        "num_proc: no such parameter; use workers",
        "batch_size: no such parameter; did you mean batchSize?",
        "optimizer: no such parameter; use an optimizer in the compiled model",
        "nb_epoch: no such parameter; use epochs",
        "epoch: no such parameter; did you mean epochs?",
        "feature_cols: no such parameter; use featuresCol",
        "nonsense: no such parameter; expected one of",
    ):
        assert line in said, said


@pytest.mark.parametrize("word", KEYWORDS)
def test_a_name_has_one_spelling_in_each_language(word):
    assert snake(camel(word)) == word
