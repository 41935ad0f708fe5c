"""A simulated option chain on real closes: the stand-in for chains that may not be passed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from tidemark.datasets.chain_file import ChainFile, UnreadableChain

if TYPE_CHECKING:
    import pandas as pd

    from tidemark.domain.simulation_settings import SimulationSettings

_MONTHS_A_CHUNK = 6


class SimulatedChainDataset(AbstractDataset[Any, ChainFile]):
    """Simulate quotes on the closes of an index; it is never written.

    Parameters
    ----------
    filepath : str
        A long table ``date, series, value`` in Parquet.
    series : str
        The index among its series.
    start, end : str
        The first and the last session of the closes, ``YYYY-MM-DD``; quotes begin after
        ``settings.n_warmup_sessions`` of them.
    seed : int
        The same closes, settings and seed give the same quotes.
    settings : dict, optional
        What differs from `tidemark.domain.simulation_settings.SimulationSettings`: by part
        (``surface``, ``listing``, ``quotes``, ``defects``) and name.
    metadata : dict, optional
        For other tools; not read here.
    """

    def __init__(
        self,
        filepath: str,
        series: str,
        start: str,
        end: str,
        seed: int,
        settings: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = Path(filepath)
        self._series, self._start, self._end, self._seed = series, start, end, seed
        self._settings = dict(settings or {})
        self.metadata = metadata

    def load(self) -> ChainFile:
        """Say how the chain is made; nothing is simulated before somebody iterates.

        Raises
        ------
        UnreadableChain
            If there is no file, or settings cannot be used; while somebody iterates, if the file
            lacks the series.
        """
        if not self._filepath.is_file():
            raise UnreadableChain(
                f"There is no file '{self._filepath}' with closes to simulate a chain on. A "
                f"relative path counts from the project's root."
            )
        self._read_settings()
        return ChainFile(f"simulated on {self._series}", self._simulate)

    def _simulate(self) -> Iterator[pd.DataFrame]:
        import pandas as pd

        from tidemark.domain.chain_simulation import simulate_chain

        table = pd.read_parquet(self._filepath)
        rows = table[table["series"] == self._series]
        closes = rows.set_index("date")["value"].astype("float64").sort_index()
        closes = closes.loc[self._start : self._end].dropna()
        if closes.empty:
            raise UnreadableChain(
                f"'{self._filepath}' has no level of '{self._series}' from {self._start} to "
                f"{self._end}. Correct the catalog."
            )
        quotes = simulate_chain(closes, self._read_settings(), self._seed).quotes
        months = quotes["quote_date"].dt.year * 12 + quotes["quote_date"].dt.month
        for _, chunk in quotes.groupby(months // _MONTHS_A_CHUNK, sort=True):
            yield chunk.reset_index(drop=True)

    def _read_settings(self) -> SimulationSettings:
        from tidemark.domain.simulation_settings import SimulationSettings

        try:
            made: SimulationSettings = _change(SimulationSettings(), self._settings, "settings")
        except (TypeError, ValueError) as error:
            raise UnreadableChain(f"The chain cannot be simulated: {error}") from error
        return made

    def save(self, data: Any) -> NoReturn:
        """Refuse: there is nothing to write to."""
        raise DatasetError("A simulated chain is an input and is never written.")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._filepath),
            "series": self._series,
            "start": self._start,
            "end": self._end,
            "seed": self._seed,
        }


def _change(held: Any, given: Any, place: str) -> Any:
    """Change what is named of frozen settings, and of the settings that they hold."""
    from dataclasses import fields, is_dataclass, replace

    if not is_dataclass(held):
        return given
    names = [one.name for one in fields(held)]
    if not isinstance(given, Mapping) or not set(given) <= set(names):
        raise TypeError(f"{place} takes {', '.join(names)}, not {given}. Correct the catalog.")
    changed = {
        name: _change(getattr(held, name), one, f"{place}.{name}") for name, one in given.items()
    }
    return replace(held, **changed)  # type: ignore[type-var]
