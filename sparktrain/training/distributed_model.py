"""Makes a Keras model's fit, evaluate and train_on_batch train over all workers, in the user's own loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import keras

from sparktrain.interfaces.collective import Collective
from sparktrain.interfaces.messages import Message, Phase
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.training.batches.given_batches import FitBatches, GivenBatches, refuse_different, steps_of
from sparktrain.training.batches.own_rows import OwnRows
from sparktrain.training.callbacks.callback_files import note_relative_paths
from sparktrain.training.callbacks.evaluation_callbacks import EvaluationCallbacks
from sparktrain.training.callbacks.stop_request import StopRequest
from sparktrain.training.callbacks.user_callbacks import callbacks_of_rank
from sparktrain.training.callbacks.worker_callbacks import WorkerCallbacks
from sparktrain.training.framework import framework
from sparktrain.training.metrics.log_numbers import numbers, shaped
from sparktrain.training.metrics.metrics import GlobalMetrics
from sparktrain.training.metrics.statistics import Statistics, seed_worker, start_alike, take_rank_0s
from sparktrain.training.state.consistency import Consistency
from sparktrain.training.state.layer_state import share_layer_state


class DistributedModel:
    """Overrides a model's fit, evaluate, predict, train_on_batch and test_on_batch to work over all workers.

    The results are those of one process with all workers' rows: gradients are averaged by rows at every step, and metrics are
    over all rows. The model's own methods are still used, and a saved model has no trace of this.

    Args:
        model: built or not, compiled now or later.
        collective: the workers.
        own: this worker's rows; None if the run has none.
        report: called with phases, progress and the ends of epochs.
        seed: the run's seed.
        part: this worker's part.
        stop_request: whether the driver asks for the end of training, which ends a fit after its epoch.
    """

    def __init__(
        self,
        model: keras.Model,
        collective: Collective,
        own: OwnRows | None,
        report: Callable[[Message], None],
        seed: int,
        part: int,
        stop_request: StopRequest | None = None,
    ) -> None:
        self.model = model
        self._stop_request = stop_request
        self._collective, self._rows, self._report, self._seed, self._part = collective, own, report, seed, part
        self._methods: dict[str, Callable[..., Any]] = {}
        self._seeded = False
        self._compiled: tuple[Any, ...] = ()  # the objects that compile() has made, which the following belong to
        self._averaging: AbstractContextManager[Any] | None = None
        self._global_metrics: GlobalMetrics | None = None
        self._has_state = False  # whether the state that a first step creates exists
        self._statistics: Statistics | None = None
        self._empty_steps = self._empty_validation = False
        self._inside = self._in_phase = False
        for function in (self.fit, self.evaluate, self.predict, self.train_on_batch, self.test_on_batch):
            self._methods[function.__name__] = getattr(model, function.__name__)
            model.__dict__[function.__name__] = function  # not by setattr: Keras would track it

    def start(self) -> None:
        """Give all workers rank 0's weights. Collective."""
        share_layer_state(self.model, self._collective)
        if self.model.compiled and self._is_built() and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        start_alike(self.model, self._collective)
        self._seed_once()

    def fit(self, *given: Any, **words: Any) -> keras.callbacks.History:
        words = self._bound("fit", given, words)
        words["x"] = self._arranged(words.get("x"))
        if "validation_data" in words:
            words["validation_data"] = self._arranged(words["validation_data"])
        data = self._look_at(words)
        if data.in_order:
            words["shuffle"] = False  # Keras would warn that it can't
        epochs, first_epoch = words.get("epochs", 1), words.get("initial_epoch", 0)
        steps = steps_of(data, words.get("steps_per_epoch"), max(0, epochs - first_epoch))
        validation = self._look_at_validation(words)
        by_rank = self._collective.gather(
            {
                "steps": steps,
                "epochs": epochs,
                "initial_epoch": first_epoch,
                "validation_freq": words.get("validation_freq", 1),
                "validation data": validation is not None or bool(words.get("validation_split")),
                "maybe empty": (data.maybe_empty, validation is not None and validation.maybe_empty),
            }
        )
        empty = [each.pop("maybe empty") for each in by_rank]
        refuse_different(by_rank)
        share_layer_state(self.model, self._collective)
        self._statistics = None
        self._prepare(data, any(map(any, empty)))
        callbacks = self._callbacks(words)
        with self._entered(data.maybe_empty, validation is not None and validation.maybe_empty):
            listening = WorkerCallbacks(
                callbacks,
                model=self.model,
                collective=self._collective,
                feeding=FitBatches(steps, self._counts, data.sample),
                report=self._report,
                epochs=epochs,
                local_steps=None,
                stop_request=self._stop_request,
            )
            with self._phase():
                return self._methods["fit"](**{"verbose": 0, **words, "x": data.data}, callbacks=listening)

    def evaluate(self, *given: Any, **words: Any) -> Any:
        words = self._bound("evaluate", given, words)
        if self._collective.size == 1 or isinstance(words.get("callbacks"), WorkerCallbacks):  # fit's own validation
            return self._methods["evaluate"](**words)
        words["x"] = self._arranged(words.get("x"))
        data = self._look_at(words)
        self._prepare(data, any(self._collective.gather(data.maybe_empty)))
        metrics = self._metrics(data.sample)
        with self._entered(False, data.maybe_empty), self._phase():
            listening = EvaluationCallbacks(
                self._callbacks(words), self.model, metrics, self._counts, lambda: self._report(Phase("train"))
            )
            return self._methods["evaluate"](**{"verbose": 0, **words, "x": data.data}, callbacks=listening)

    def predict(self, *given: Any, **words: Any) -> Any:
        words = self._bound("predict", given, words)
        return self._methods["predict"](**{**words, "x": self._arranged(words.get("x"))})

    def train_on_batch(self, *given: Any, **words: Any) -> Any:
        return self._on_batch("train_on_batch", given, words)

    def test_on_batch(self, *given: Any, **words: Any) -> Any:
        return self._on_batch("test_on_batch", given, words)

    def _on_batch(self, name: str, given: tuple[Any, ...], words: dict[str, Any]) -> Any:
        words = self._bound(name, given, words)
        if self._collective.size == 1:
            return self._methods[name](**words)
        batch = tuple(words.get(each) for each in ("x", "y", "sample_weight"))
        rows = framework().rows_in(batch)
        # Outside of a graph, so that a worker that never makes this call is detected
        by_rank = [
            each if isinstance(each, tuple) and len(each) == 2 else ("another call", 0)
            for each in self._collective.gather((name, rows))
        ]
        if any(other != name for other, _ in by_rank) or not any(count for _, count in by_rank):
            calls = ", ".join(f"rank {rank}: {other} of {count} rows" for rank, (other, count) in enumerate(by_rank))
            raise TrainingError(
                f"all workers must call {name} together, with rows on at least one, but these calls came: {calls}"
            )
        spec = keras.tree.map_structure(framework().spec_of, batch)
        data = GivenBatches(None, name, 1, True, spec, lambda: batch if rows else None)
        self._prepare(data, True)
        metrics = self._metrics(data.sample)
        if self._statistics is None:
            Consistency(self.model, self._collective).compare("before the first step")
            self._statistics = Statistics(self.model, self._collective)
        with self._entered(True, True):
            results = self._methods[name](**{**words, "return_dict": True})
        if name == "train_on_batch":
            self._statistics.average(rows)
        results = shaped(results, metrics.over_workers(numbers(results), metrics.state(), rows))
        return results if words.get("return_dict") else self.model._flatten_metrics_in_order(results)

    def _bound(self, name: str, given: tuple[Any, ...], words: dict[str, Any]) -> dict[str, Any]:
        """Return a call's arguments by their names."""
        signature = inspect.signature(self._methods[name])
        if "x" not in signature.parameters:  # the user's own method, which passes on its arguments
            signature = inspect.signature(getattr(keras.Model, name).__get__(self.model))
        bound = dict(signature.bind(*given, **words).arguments)
        more = bound.pop("kwargs", {})
        return {**bound, **more}

    def _arranged(self, data: Any) -> Any:
        return framework().in_model_s_structure(data, self.model, self._rows)

    def _look_at(self, words: Mapping[str, Any]) -> GivenBatches:
        return framework().look_at(
            words.get("x"),
            words.get("y"),
            words.get("sample_weight"),
            words.get("batch_size"),
            self._rows,
            words.get("validation_split") or 0.0,
        )

    def _look_at_validation(self, words: dict[str, Any]) -> GivenBatches | None:
        given = words.get("validation_data")
        if given is None:
            return None
        if isinstance(given, (tuple, list)):
            x, y, weight = [*given, None, None][:3]
            return framework().look_at(x, y, weight, words.get("validation_batch_size") or words.get("batch_size"), self._rows)
        return framework().look_at(given, None, None, None, self._rows)

    def _callbacks(self, words: dict[str, Any]) -> list[keras.callbacks.Callback]:
        """Return a call's callbacks that run on this worker."""
        callbacks = callbacks_of_rank(words.pop("callbacks", None), self._collective.rank, self._collective.size, "callbacks")
        note_relative_paths(callbacks, self._note)
        return callbacks

    def _is_built(self) -> bool:
        """Return whether all of the model's weights exist, which Keras itself never reports for a model without a call."""
        model = self.model
        if not model.built and type(model).call in (keras.Model.call, keras.Layer.call):
            layers = list(model._flatten_layers(include_self=False))
            model.built = bool(layers) and all(layer.built for layer in layers)
        return model.built

    def _prepare(self, data: GivenBatches, empty: bool) -> None:
        """Create the state that the model's first step needs, the same on all workers. Collective.

        Args:
            data: the data of the call.
            empty: whether a step may give some worker no rows.
        """
        model = self.model
        model._assert_compile_called()
        if not self._is_built():
            self._build(data.spec)
        made = (model._loss_tracker, model.optimizer)
        if len(made) != len(self._compiled) or any(new is not old for new, old in zip(made, self._compiled)):
            self._compiled = made
            self._averaging = self._global_metrics = None
            self._has_state = False
            if model.optimizer is not None and not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
                take_rank_0s(model.optimizer.variables, self._collective)
        if empty and not self._has_state:
            if data.spec is None:
                raise TrainingError(
                    f"the structure of a batch can't be found from the {data.kind}: pass a tf.data.Dataset, or data with a batch"
                )
            self._has_state = True
            known = {id(each) for each in self._variables()}
            framework().create_state(model, data.spec)
            take_rank_0s([each for each in self._variables() if id(each) not in known], self._collective)

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *optimizer_variables(self.model)]

    def _build(self, spec: Any) -> None:
        inputs = framework().symbolic_inputs(spec)
        if inputs is None:
            raise TrainingError("the distributed model isn't built yet: give it a keras.Input, or call it once before")
        self.model(inputs)
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        start_alike(self.model, self._collective)
        self._seed_once()

    def _seed_once(self) -> None:
        if not self._seeded and self._is_built() and self._collective.size > 1:
            self._seeded = True
            seed_worker(self.model, self._seed, self._part)

    def _metrics(self, sample: Callable[[], Any]) -> GlobalMetrics:
        if self._global_metrics is None:
            self._global_metrics = GlobalMetrics(self.model, self._collective)
            self._global_metrics.look_at_states(sample)
        return self._global_metrics

    @contextmanager
    def _entered(self, empty_steps: bool, empty_validation: bool) -> Iterator[None]:
        """Enter the averaging over all workers, and reuse traced functions if they suit such steps.

        Within a callback of a fit it is entered already.
        """
        more = (empty_steps and not self._empty_steps) or (empty_validation and not self._empty_validation)
        if self._inside:
            if more:
                raise TrainingError(
                    "evaluate, train_on_batch or test_on_batch came inside of a fit with data that may have batches without rows, for "
                    "which the fit isn't made: make such a call once before the fit, too"
                )
            yield
            return
        with ExitStack() as stack:
            averaging = self._averaging
            new = averaging is None
            if new:
                self._counts = framework().RowCounts(self.model)
            stack.enter_context(self._counts)
            if averaging is None or more:
                self._empty_steps |= empty_steps
                self._empty_validation |= empty_validation
                if self._collective.size == 1:
                    self.model.train_function = self.model.test_function = None
                averaging = self._averaging = framework().Averaging(
                    self.model,
                    self._collective,
                    every_step=True,
                    empty_steps=self._empty_steps,
                    empty_validation=self._empty_validation,
                    warmup=None,
                    note=self._note,
                )
            stack.enter_context(averaging)
            self._inside = True
            stack.callback(setattr, self, "_inside", False)
            yield

    @contextmanager
    def _phase(self) -> Iterator[None]:
        """Report the phase `train`, in which stalls are detected, within a context, and raise errors of the feed as they are."""
        if self._in_phase:
            yield
            return
        self._in_phase = True
        self._report(Phase("train"))
        try:
            yield
        except Exception as error:
            if self._rows is not None and self._rows.error is not None:
                raise self._rows.error from error
            raise
        finally:
            self._in_phase = False
            self._report(Phase("run"))

    def _note(self, text: str) -> None:
        if self._collective.rank == 0:
            print(text, flush=True)
