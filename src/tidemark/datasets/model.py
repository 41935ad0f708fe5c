"""A fitted model, pickled so that its bytes depend on its values alone."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from tidemark.datasets.local_file import LocalFileDataset

_PROTOCOL = 5


class ModelDataset(LocalFileDataset[Any]):
    """Store a model as a pickle that every run and every process writes alike.

    Python's own pickler writes an object once or twice, as two places that hold equal strings or
    numbers share one or do not; which they do is chance.
    """

    def save(self, data: Any) -> None:
        """Store the model; `pickle.load` reads it."""
        path = Path(self._get_save_path())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dump_canonical(data))

    def load(self) -> Any:
        """Read the model."""
        with Path(self._get_load_path()).open("rb") as file:
            return pickle.load(file)  # noqa: S301 - what this project's own runs have stored


def dump_canonical(model: Any) -> bytes:
    """Pickle an object so that equal objects give equal bytes.

    Values that cannot change are written anew wherever they stand, sets in the order of their
    elements' bytes, arrays as writable blocks without gaps. Of what can change, such as arrays
    and estimators, it still counts whether two places share it: loading keeps that apart.
    """
    buffer = io.BytesIO()
    _CanonicalPickler(buffer).dump(model)
    return buffer.getvalue()


class _CanonicalPickler(pickle._Pickler):
    """The pickler that is written in Python: the one in C cannot be told what to remember."""

    def __init__(self, file: io.BytesIO) -> None:
        import numpy as np

        super().__init__(file, _PROTOCOL)
        self._array = np.ndarray
        self._constants = (str, bytes, tuple, frozenset, complex, np.dtype, np.generic)

    def memoize(self, obj: Any) -> None:
        """Remember an object that may be met again, unless it is as good as any equal one."""
        if not isinstance(obj, self._constants):
            super().memoize(obj)  # type: ignore[misc]  # the stub leaves it out

    def reducer_override(self, obj: Any) -> Any:
        """Write sets in an order that no hash has a part in, and every array in one way."""
        if type(obj) in (set, frozenset):
            return type(obj), (sorted(obj, key=dump_canonical),)
        if type(obj) is self._array:
            flags = obj.flags
            is_plain = flags.writeable and (flags.c_contiguous or flags.f_contiguous)
            return (obj if is_plain else obj.copy(order="A")).__reduce_ex__(_PROTOCOL)
        return NotImplemented
