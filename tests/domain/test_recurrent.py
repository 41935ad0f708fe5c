"""The GRU computes what its equations say, learns from histories, and can be made again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemark.domain.gru_network import GruSettings, make_models
from tidemark.domain.keras_models import (
    ModelFormat,
    average_models,
    dump_model,
    hash_weights,
    import_keras,
    load_model,
)
from tidemark.domain.recurrent import (
    EpochErrors,
    GruFit,
    fit_gru,
    fit_seeds,
    measure_spread,
    predict,
)
from tidemark.domain.sequence_batches import measure_scaling
from tidemark.domain.sequences import (
    SequenceIndex,
    SequenceSample,
    build_sequences,
    cut_validation,
)
from tidemark.errors import ConfigError

# Not by importorskip: it would import Keras on whatever backend is the machine's default.
needs_keras = pytest.mark.skipif(
    find_spec("keras") is None or find_spec("jax") is None, reason="needs Keras: the extra 'deep'"
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # Keras's own use of NumPy
)

FEATURES = ["quoted", "shifted", "constant"]
LENGTH = 4
SETTINGS = GruSettings(
    units=6,
    layers=1,
    dropout=0.05,
    learning_rate=0.02,
    batch_size=64,
    epochs=12,
    patience=3,
    seeds=(3, 4),
)


def make_samples() -> tuple[SequenceSample, SequenceSample]:
    """Make labels that are the sum of a feature today and a session before, far from 0."""
    rng = np.random.default_rng(5)
    n_contracts, n_sessions = 40, 40
    n = n_contracts * n_sessions
    quoted = rng.standard_normal((n_contracts, n_sessions))
    before = np.roll(quoted, 1, axis=1)
    before[:, 0] = 0.0
    frame = pd.DataFrame(
        {
            "date": np.tile(pd.bdate_range("2024-01-02", periods=n_sessions), n_contracts),
            "contract": np.repeat(np.arange(n_contracts), n_sessions),
            "quoted": 100.0 + 20.0 * quoted.ravel(),
            "shifted": rng.standard_normal(n) * 1e-3,
            "constant": 7.0,
            "label": 50.0 + 10.0 * (quoted + before).ravel(),
        }
    ).drop(index=[5, 6, 90])
    frame["quoted"] = frame["quoted"].where(rng.random(len(frame)) > 0.01)
    index = build_sequences(frame, ["contract"], "date", FEATURES, LENGTH)
    labels = frame["label"].to_numpy()
    parts = (
        part[index.find_usable(part)] for part in cut_validation(frame["date"], 8, horizon_days=1)
    )
    train, validation = (SequenceSample(index, part, labels[part]) for part in parts)
    return train, validation


@pytest.fixture(scope="module")
def samples() -> tuple[SequenceSample, SequenceSample]:
    """Make a training and a validation sample."""
    return make_samples()


@pytest.fixture(scope="module")
def told() -> list[EpochErrors]:
    """Collect what the callback hears."""
    return []


@pytest.fixture(scope="module")
def fits(
    samples: tuple[SequenceSample, SequenceSample], told: list[EpochErrors]
) -> tuple[GruFit, ...]:
    """Fit two seeds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return fit_seeds(*samples, SETTINGS, told.append)


def say_fit() -> None:
    """Fit in a process of its own, then fork; print what the test asks for."""
    fit = fit_gru(*make_samples(), SETTINGS, SETTINGS.seeds[0])
    facts = {
        "weights_sha256": fit.weights_sha256,
        "model_sha256": hashlib.sha256(fit.model).hexdigest(),
        "h5_sha256": hashlib.sha256(dump_model(load_model(fit.model), "h5")).hexdigest(),
        "backend": os.environ.get("KERAS_BACKEND"),
    }
    print(json.dumps(facts), flush=True)  # noqa: T201 - it is read by the test
    if os.fork() == 0:
        try:
            load_model(fit.model)
        except ConfigError as error:
            print(error, flush=True)  # noqa: T201
        os._exit(0)
    os.wait()


@needs_keras
@pytest.mark.slow
def test_other_process_makes_the_same_bytes(fits: tuple[GruFit, ...]) -> None:
    """Weights and both files; the environment is left alone, and a forked process is refused."""
    script = f"import runpy; runpy.run_path({str(Path(__file__))!r})['say_fit']()"
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**environment, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    facts, refusal = done.stdout.splitlines()
    assert json.loads(facts) == {
        "weights_sha256": fits[0].weights_sha256,
        "model_sha256": hashlib.sha256(fits[0].model).hexdigest(),
        "h5_sha256": hashlib.sha256(dump_model(load_model(fits[0].model), "h5")).hexdigest(),
        "backend": None,
    }
    assert "forked" in refusal
    assert "KEDRO_MP_CONTEXT" in refusal


@needs_keras
def test_fit_uses_the_history(
    fits: tuple[GruFit, ...], samples: tuple[SequenceSample, SequenceSample]
) -> None:
    """Half the variance of the labels is yesterday's, a quarter of it is beaten."""
    variance = float(np.var(samples[1].target))
    assert all(fit.best.validation_mse < variance / 4.0 for fit in fits)


@needs_keras
def test_best_pass_is_kept(
    fits: tuple[GruFit, ...], samples: tuple[SequenceSample, SequenceSample]
) -> None:
    """Its validation error is the lowest, and is that of the stored weights in labels' units."""
    validation = samples[1]
    for fit in fits:
        errors = [epoch.validation_mse for epoch in fit.epochs]
        assert fit.best_epoch == 1 + int(np.argmin(errors))
        assert len(errors) == min(SETTINGS.epochs, fit.best_epoch + SETTINGS.patience)
        predicted = predict(load_model(fit.model), validation.index, validation.rows)
        mse = np.mean((predicted - validation.target) ** 2)
        assert mse == pytest.approx(fit.best.validation_mse, rel=1e-4)


@needs_keras
def test_callback_hears_of_each_pass(fits: tuple[GruFit, ...], told: list[EpochErrors]) -> None:
    """All seeds in turn, passes counted from 1, training errors falling."""
    assert told == [epoch for fit in fits for epoch in fit.epochs]
    assert [epoch.epoch for epoch in fits[0].epochs] == list(range(1, len(fits[0].epochs) + 1))
    assert [fit.seed for fit in fits] == [3, 4]
    assert all(fit.epochs[-1].train_mse < fit.epochs[0].train_mse for fit in fits)


@needs_keras
def test_seeds_give_other_weights(fits: tuple[GruFit, ...]) -> None:
    """And the hash tells them apart."""
    assert fits[0].weights_sha256 != fits[1].weights_sha256
    assert hash_weights(load_model(fits[0].model)) == fits[0].weights_sha256


def compute_gru(values: np.ndarray, mask: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Compute the states of a layer; where a step is masked, the state stays as it was."""
    kernel, recurrent_kernel, (input_bias, state_bias) = weights
    state = np.zeros((len(values), len(recurrent_kernel)))
    states = []
    for step in range(values.shape[1]):
        from_input = np.split(values[:, step] @ kernel + input_bias, 3, axis=1)
        from_state = np.split(state @ recurrent_kernel + state_bias, 3, axis=1)
        update, reset = (
            1.0 / (1.0 + np.exp(-one - other))
            for one, other in zip(from_input[:2], from_state[:2], strict=True)
        )
        candidate = np.tanh(from_input[2] + reset * from_state[2])
        following = update * state + (1.0 - update) * candidate
        state = np.where(mask[:, step, None], following, state)
        states.append(state)
    return np.stack(states, axis=1)


@needs_keras
def test_predictions_are_those_of_the_equations(
    samples: tuple[SequenceSample, SequenceSample],
) -> None:
    """Standardise by the training rows, two layers and a line in NumPy: Cho et al. (2014)."""
    train, validation = samples
    import_keras()
    scaling = measure_scaling(train)
    deep = replace(SETTINGS, layers=2)
    _, model = make_models(deep, scaling, train.index, seed=0)
    rng = np.random.default_rng(8)
    model.set_weights([rng.normal(0.0, 0.7, part.shape) for part in model.get_weights()])

    complete = train.rows[train.index.positions[train.rows, -1] >= 0]
    rows = train.index.features[complete].astype(float)
    deviations = rows.std(axis=0)
    deviations[2] = 1.0  # the constant feature
    values, mask = validation.index.gather(validation.rows)
    assert not mask.all()
    flow = (values - rows.mean(axis=0)) / deviations
    for name in ("gru_1", "gru_2"):
        flow = compute_gru(flow, mask, model.get_layer(name).get_weights())
    kernel, bias = model.get_layer("standardised_target").get_weights()
    scaled = (flow[:, -1] @ kernel + bias)[:, 0]
    expected = train.target.mean() + train.target.std() * scaled
    predicted = predict(model, validation.index, validation.rows)
    assert_allclose(predicted, expected, atol=1e-5 * train.target.std())


@needs_keras
def test_predictions_depend_on_no_other_row(
    fits: tuple[GruFit, ...], samples: tuple[SequenceSample, SequenceSample]
) -> None:
    """Rows outside a history may change, and so may the size of the batch and its company."""
    index, rows = samples[1].index, samples[1].rows[:6]
    model = load_model(fits[0].model)
    features = np.full_like(index.features, 1e6)
    needed = index.positions[rows]
    features[needed[needed >= 0]] = index.features[needed[needed >= 0]]
    altered = SequenceIndex(features, index.positions, index.feature_columns)
    expected = predict(model, index, rows)
    assert_array_equal(predict(model, altered, rows), expected)  # padding is 1e6 there as well
    assert_allclose(predict(model, index, rows[::-1], batch_size=4)[::-1], expected, rtol=1e-5)


@needs_keras
def test_row_without_any_step_is_not_predicted(
    fits: tuple[GruFit, ...], samples: tuple[SequenceSample, SequenceSample]
) -> None:
    """NaN there, and no rows give no predictions."""
    index, row = samples[1].index, samples[1].rows[:1]
    positions = np.vstack([index.positions, np.full((1, LENGTH), -1, np.int32)])
    longer = SequenceIndex(index.features, positions, index.feature_columns)
    model = load_model(fits[0].model)
    predicted = predict(model, longer, np.array([len(positions) - 1, row[0]]))
    assert_array_equal(np.isnan(predicted), [True, False])
    assert predict(model, index, row[:0]).shape == (0,)


@needs_keras
@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_file_holds_the_whole_model(
    kind: ModelFormat,
    fits: tuple[GruFit, ...],
    samples: tuple[SequenceSample, SequenceSample],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Plain Keras loads it and predicts in the labels' units; nothing is said about formats."""
    content = dump_model(load_model(fits[0].model), kind)
    assert dump_model(load_model(content), kind) == content
    assert capfd.readouterr().err == ""
    import keras

    path = tmp_path / f"model.{kind}"
    path.write_bytes(content)
    plain = keras.models.load_model(path, compile=False)
    index, rows = samples[1].index, samples[1].rows[:8]
    expected = predict(load_model(fits[0].model), index, rows)
    assert_array_equal(plain.predict_on_batch(list(index.gather(rows)))[:, 0], expected)


@needs_keras
def test_file_says_neither_when_nor_where(fits: tuple[GruFit, ...]) -> None:
    """No date and no address of an object, and every entry is of 1980."""
    with zipfile.ZipFile(io.BytesIO(fits[0].model)) as archive:
        texts = [archive.read(name) for name in ("metadata.json", "config.json")]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert b"keras_version" in texts[0]
    assert not any(word in text for text in texts for word in (b"date", b"shared_object_id"))


@needs_keras
@pytest.mark.slow
def test_fit_that_diverges_is_an_error(
    samples: tuple[SequenceSample, SequenceSample], fits: tuple[GruFit, ...]
) -> None:
    """Weights of 1e30 leave no finite error. Global generators stand where they stood."""
    assert fits  # the first import of Keras draws from them
    before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002 - what is tested
    wild = replace(SETTINGS, units=1, epochs=2, learning_rate=1e30)
    with pytest.raises(np.linalg.LinAlgError, match="2 passes is finite: lower the learning rate"):
        fit_gru(*samples, wild, 0)
    assert (random.getstate(), repr(np.random.get_state())) == before  # noqa: NPY002


def test_constant_labels_and_features_are_only_centred(
    samples: tuple[SequenceSample, SequenceSample],
) -> None:
    """There is no deviation to divide by."""
    train, _ = samples
    scaling = measure_scaling(replace(train, target=np.full(len(train.rows), 5.0)))
    assert (scaling.target_mean, scaling.target_scale) == (5.0, 1.0)
    assert (scaling.feature_means[2], scaling.feature_variances[2]) == (7.0, 1.0)
    assert_array_equal(scaling.standardise(np.array([5.0, 7.5])), [[0.0], [2.5]])


@needs_keras
def test_sequences_of_another_shape_are_refused(
    fits: tuple[GruFit, ...], samples: tuple[SequenceSample, SequenceSample]
) -> None:
    """Other steps, other features, and a negative seed."""
    train, validation = samples
    index = validation.index
    shorter = SequenceIndex(index.features, index.positions[:, 1:], index.feature_columns)
    renamed = SequenceIndex(index.features, index.positions, ("a", "b", "c"))
    usable = np.flatnonzero(shorter.find_usable(np.arange(shorter.n_rows)))
    with pytest.raises(ValueError, match="3 steps of 3 features, the model takes 4 of 3"):
        predict(load_model(fits[0].model), shorter, validation.rows)
    for other in (shorter, renamed):
        with pytest.raises(ValueError, match="build both alike"):
            fit_gru(train, SequenceSample(other, usable, np.zeros(len(usable))), SETTINGS, 0)
    with pytest.raises(ValueError, match="seed is -1"):
        fit_gru(train, validation, SETTINGS, -1)


@needs_keras
def test_other_backend_in_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras cannot change its backend once it is imported."""
    import_keras()
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(ConfigError, match="imported on 'torch' before"):
        load_model(b"")


def test_other_backend_that_is_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's choice is neither overruled nor changed."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(ConfigError, match="KERAS_BACKEND is 'torch'"):
        load_model(b"")
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install, and the environment is left as it was."""
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with pytest.raises(ConfigError, match="needs jax: install the extra 'deep'"):
        load_model(b"")
    assert "KERAS_BACKEND" not in os.environ


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": 0}, "units is 0"),
        ({"layers": 0}, "layers is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"dropout": 1.0}, "dropout is 1"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"seeds": ()}, "at least one"),
        ({"seeds": (1, 1)}, "twice"),
        ({"seeds": (0, -1)}, "none below 0"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    """Each with what to give."""
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)  # type: ignore[arg-type]


def test_spread_of_seeds() -> None:
    """Root mean squared errors of 1, 2 and 6: mean 3, sample deviation the root of 7."""
    fits = [
        GruFit(seed, b"", "", (EpochErrors(seed, 1, 9.0, rmse**2),), 1, "cpu")
        for seed, rmse in enumerate([1.0, 2.0, 6.0])
    ]
    assert measure_spread(fits) == {
        "validation_rmse_mean": pytest.approx(3.0),
        "validation_rmse_std": pytest.approx(7.0**0.5),
        "validation_rmse_min": 1.0,
        "validation_rmse_max": 6.0,
    }
    assert np.isnan(measure_spread(fits[:1])["validation_rmse_std"])
    with pytest.raises(ValueError, match="no fits"):
        measure_spread([])


@needs_keras
def test_mean_of_models_predicts_the_mean(
    fits: tuple[GruFit, ...], samples: tuple[SequenceSample, SequenceSample], tmp_path: Path
) -> None:
    """As one file of either format, which plain Keras loads; equal members give equal bytes."""
    index, rows = samples[1].index, samples[1].rows[:50]
    members = [predict(load_model(fit.model), index, rows) for fit in fits]
    assert np.abs(members[0] - members[1]).max() > 1e-3  # or either would do
    means = [average_models([load_model(fit.model) for fit in fits]) for _ in range(2)]
    assert_allclose(predict(means[0], index, rows), np.mean(members, axis=0), rtol=1e-5)
    written = [(dump_model(mean), dump_model(mean, "h5")) for mean in means]
    assert written[0] == written[1]
    import keras

    found = []
    for kind, content in zip(("keras", "h5"), written[0], strict=True):
        path = tmp_path / f"mean.{kind}"
        path.write_bytes(content)
        plain = keras.models.load_model(path, compile=False)
        found.append(plain.predict_on_batch(list(index.gather(rows)))[:, 0])
        assert dump_model(load_model(content), "keras") == written[0][0]
    assert_array_equal(found[0], found[1])
    assert_allclose(found[0], np.mean(members, axis=0), rtol=1e-5)


@needs_keras
def test_mean_of_one_model_is_that_model(fits: tuple[GruFit, ...]) -> None:
    """Nothing is put on top of it."""
    model = load_model(fits[0].model)
    assert average_models([model]) is model
    assert dump_model(model) == fits[0].model
