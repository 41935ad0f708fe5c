"""Keras models on JAX as bytes: equal models give equal files, and equal weights one hash."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import sys
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tidemark.errors import ConfigError

if TYPE_CHECKING:
    from keras import Model

ModelFormat = Literal["keras", "h5"]

_BACKEND = "jax"
_HDF5_MAGIC = b"\x89HDF"


def import_keras() -> Any:
    """Import Keras on JAX, or say why it cannot be had.

    The backend is chosen by a variable of the environment, which is read once, at import. It is
    set for that moment only, and not against the user's own choice.

    Returns
    -------
    module
        ``keras``; JAX can be imported as well.

    Raises
    ------
    ConfigError
        If Keras or JAX is missing, Keras runs on another backend, or JAX was in use before this
        process was forked.
    """
    chosen = os.environ.get("KERAS_BACKEND")
    try:
        if "keras" not in sys.modules and chosen in (None, _BACKEND):
            os.environ["KERAS_BACKEND"] = _BACKEND
        elif "keras" not in sys.modules:
            raise ConfigError(
                f"KERAS_BACKEND is {chosen!r}, and the GRU runs on {_BACKEND!r}: unset it or set "
                f"it to {_BACKEND!r}."
            )
        import jax  # noqa: F401 - its absence has the same remedy
        import keras
    except ModuleNotFoundError as error:
        raise ConfigError(f"The GRU needs {error.name}: install the extra 'deep'.") from error
    finally:
        if chosen is None:
            os.environ.pop("KERAS_BACKEND", None)
    if keras.backend.backend() != _BACKEND:
        raise ConfigError(
            f"Keras was imported on {keras.backend.backend()!r} before, and the GRU runs on "
            f"{_BACKEND!r}: start a new process with KERAS_BACKEND={_BACKEND}."
        )
    if _find_first_process() != os.getpid():
        raise ConfigError(
            "This process was forked from one that had JAX in use, whose threads are gone: JAX "
            "would hang. Start workers by spawn or forkserver (KEDRO_MP_CONTEXT)."
        )
    return keras


@cache
def _find_first_process() -> int:
    """Return the process that asked first; a forked one inherits the answer."""
    return os.getpid()


def hash_weights(model: Model) -> str:
    """Hash the weights of a model: SHA-256 over their shapes and little-endian values."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        values = np.ascontiguousarray(weights, weights.dtype.newbyteorder("<"))
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def dump_model(model: Model, kind: ModelFormat = "keras") -> bytes:
    """Write a model as the bytes of a file.

    Parameters
    ----------
    model : keras.Model
        As `load_model` returns it.
    kind : {"keras", "h5"}
        Keras's own format, or the HDF5 file of earlier versions. Both load in plain Keras, the
        latter by ``keras.models.load_model(path, compile=False)``.

    Returns
    -------
    bytes
        Equal for equal models and versions of the libraries.

    Notes
    -----
    Keras writes to paths only: the file passes through a temporary folder.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{kind}"
        logger.setLevel(logging.ERROR)  # HDF5 is asked for: that it is legacy is not news
        try:
            model.save(path)
        finally:
            logger.setLevel(level)
        content = path.read_bytes()
    return _make_canonical(content) if kind == "keras" else content


def load_model(content: bytes) -> Model:
    """Read a model from the bytes of a ``.keras`` or an ``.h5`` file.

    Parameters
    ----------
    content : bytes
        As `dump_model` writes it. No code is run that a file may hold.

    Returns
    -------
    keras.Model
        It is not compiled for training.

    Raises
    ------
    ConfigError
        As `import_keras` does.
    """
    keras = import_keras()
    kind: ModelFormat = "h5" if content.startswith(_HDF5_MAGIC) else "keras"
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{kind}"
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False)


def average_models(models: Sequence[Model]) -> Model:
    """Make one model of several that take the same inputs: the mean of what they give.

    Parameters
    ----------
    models : sequence of keras.Model
        At least one, of equal input shapes; their weights become those of the mean.

    Returns
    -------
    keras.Model
        Named ``mean``; not compiled. Of a single model, that model.
    """
    from keras import Input, Model, layers

    if len(models) == 1:
        return models[0]
    inputs = [
        Input(tuple(one.shape[1:]), name=one.name, dtype=one.dtype) for one in models[0].inputs
    ]
    outputs = []
    for number, model in enumerate(models, start=1):
        model.name = f"{model.name}_{number}"  # one model cannot hold two of one name
        outputs.append(model(inputs))
    return Model(inputs, layers.Average(name="mean_target", dtype="float32")(outputs), name="mean")


def _make_canonical(archive: bytes) -> bytes:
    """Write a ``.keras`` file again without what differs between equal models.

    That is when it was written, and addresses by which Keras marks objects that are shared.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(written, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".json"):
                content = json.dumps(json.loads(content, object_hook=_drop_chance)).encode()
            entry = zipfile.ZipInfo(name)  # of 1980-01-01
            entry.external_attr = 0o644 << 16
            target.writestr(entry, content)
    return written.getvalue()


def _drop_chance(facts: dict[str, Any]) -> dict[str, Any]:
    chance = ("date_saved", "shared_object_id")
    return {name: fact for name, fact in facts.items() if name not in chance}
