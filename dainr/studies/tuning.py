"""Tuning, from scans to a preset: budgets or settings are tried on every scan, one is chosen, and it is written.

What is written is the preset, a TOML file, and beside it a page that shows how the choice was made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from dainr.errors import BadScan, DainrError
from dainr.fit.state import Observer
from dainr.io import ReadOptions, load
from dainr.io.hdf5 import write_whole
from dainr.methods.dainr.config import DainrConfig
from dainr.prepare.binning import Binning
from dainr.scan import Scan
from dainr.studies.batch.cases import find_cases
from dainr.studies.search import Attempt, choose, search, settings_of
from dainr.studies.tune import Trial, agreement, as_preset, middle_slice, recommend, sweep, with_budget
from dainr.studies.tuning_page import build_search, build_tuning

DISAGREES = 0.5  # rank correlation below which held-out error and PSNR rank budgets differently


@dataclass(frozen=True)
class Budget:
    """The budget that is enough, in seconds, and every trial by the name of its scan."""

    seconds: float
    sweeps: dict[str, list[Trial]]

    @property
    def correlations(self) -> dict[str, float | None]:
        """For each scan, how alike held-out error and PSNR rank its budgets; None without a reference."""
        return {name: agreement(trials) for name, trials in self.sweeps.items()}

    @property
    def disagreements(self) -> list[float]:
        """The rank correlations that are low."""
        return [value for value in self.correlations.values() if value is not None and value < DISAGREES]

    def as_dict(self) -> dict[str, Any]:
        """Choice and trials, ready for JSON."""
        ranked = self.correlations
        cases = [
            {"scan": name, "trials": [asdict(trial) for trial in trials], "rank_correlation": ranked[name]}
            for name, trials in self.sweeps.items()
        ]
        return {"budget_s": self.seconds, "cases": cases}


@dataclass(frozen=True)
class Settings:
    """The attempt whose settings are best, and all attempts, the start first."""

    chosen: Attempt
    attempts: list[Attempt]

    def as_dict(self) -> dict[str, Any]:
        """Choice and attempts, ready for JSON."""
        return {"attempts": [asdict(attempt) for attempt in self.attempts], "chosen": asdict(self.chosen)}


@dataclass(frozen=True)
class Tuning:
    """What is tuned: binned scans by name, the settings to start from, and the preset to write."""

    title: str
    scans: Mapping[str, Scan]
    config: DainrConfig
    output: Path

    def budget(
        self,
        seconds: Sequence[float],
        reference: np.ndarray | None = None,
        begin: Callable[[str], Sequence[Observer]] = lambda _: (),
        tell: Callable[[Trial], None] = lambda _: None,
    ) -> Budget:
        """Try every budget (s) on every scan and write the smallest that is enough.

        `reference`, `slice frame y x`, only checks the choice. `begin` is told each scan's name as its turn comes and
        gives the observers of its fits; `tell` is told of every trial. Raises BadRequest when no readouts are held out.
        """
        sweeps: dict[str, list[Trial]] = {}
        for name, scan in self.scans.items():
            sweeps[name] = []
            for trial in sweep(scan, self.config, seconds, reference, begin(name)):
                sweeps[name].append(trial)
                tell(trial)
        chosen = recommend(list(sweeps.values()))
        about = f"{chosen:g} s of steps, chosen by held-out readouts of {self.title}"
        preset = tomli_w.dumps(as_preset(with_budget(self.config, chosen), about))
        self._write(preset, build_tuning(self.title, sweeps, chosen, preset))
        return Budget(chosen, sweeps)

    def settings(
        self, attempts: int, observers: Sequence[Observer] = (), tell: Callable[[Attempt], None] = lambda _: None
    ) -> Settings:
        """Make as many attempts as asked, those of an earlier call counted, and write the best.

        `observers` see the steps of all fits; `tell` is told of every attempt. Raises what `search` raises.
        """
        made: list[Attempt] = []
        store = self.output.with_suffix(".study")
        for attempt in search(list(self.scans.values()), self.config, attempts, store, observers):
            made.append(attempt)
            tell(attempt)
        chosen = choose(made)
        about = f"the best of {len(made)} attempts by held-out readouts of {self.title}"
        preset = tomli_w.dumps(as_preset(settings_of(self.config, chosen), about))
        self._write(preset, build_search(self.title, len(self.scans), made, chosen, preset))
        return Settings(chosen, made)

    def _write(self, preset: str, page: str) -> None:
        for path, text in ((self.output, preset), (self.output.with_suffix(".html"), page)):
            with write_whole(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def load_scans(
    path: Path,
    output: Path,
    binning: Binning,
    left_out: Callable[[str, DainrError], None],
    options: ReadOptions = ReadOptions(),
) -> dict[str, Scan]:
    """The binned scan in a file or, by name, the middle slices of those in a folder that can be read.

    `left_out` is told of each of the others. Raises BadScan when there is none, and for a file what is wrong with it.
    """
    if not path.is_dir():
        return {path.name: binning.applied(load(path, options))}
    found: dict[str, Scan] = {}
    for case in find_cases(path, output):
        try:
            found[case.name] = middle_slice(binning.applied(load(case.path, options)))
        except DainrError as error:
            left_out(case.name, error)
    if not found:
        raise BadScan(str(path), "none of its scans can be fitted", "see dainr info for each")
    return found
