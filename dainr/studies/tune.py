"""How long a fit should run: scans at several budgets, judged by readouts that no fit saw.

The held-out error beyond what noise explains estimates, by Parseval, the relative error of the image. The budget to
take is the smallest whose error is nearly that of the best. A reference, where there is one, only checks that choice.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from dainr.assess.scores import evaluate
from dainr.errors import BadRequest
from dainr.fit.state import Observer
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr
from dainr.methods.recon import Recon
from dainr.scan import Scan
from dainr.settings.build import config_dict

NEARLY = 0.023  # of the error: 0.2 dB
OF_THE_MACHINE = ("device", "nufft", "grid")  # settings that a preset for others must not hold


@dataclass(frozen=True)
class Trial:
    """One budget: what was spent, the held-out error, what of it noise leaves, and PSNR where there is a reference."""

    budget_s: float
    fit_s: float
    total_s: float
    steps: int
    heldout: float
    excess: float
    psnr: float | None = None
    dynamic_psnr: float | None = None


def middle_slice(scan: Scan) -> Scan:
    """The slice that stands for a stack."""
    return scan.select_slices([scan.n_slices // 2])


def excess_error(recon: Recon) -> float:
    """Held-out error of a fitted slice beyond what noise explains. Raises BadRequest when nothing was held out."""
    fit = recon.record["slices"][0]["fit"]
    if "heldout_error" not in fit:
        raise BadRequest("holdout=0", "without held-out readouts nothing judges a fit", "hold out some")
    return math.sqrt(max(fit["heldout_error"] ** 2 - fit["heldout_noise_error"] ** 2, 0.0))


def sweep(
    scan: Scan,
    config: DainrConfig,
    budgets: Sequence[float],
    reference: np.ndarray | None = None,
    observers: Sequence[Observer] = (),
) -> Iterator[Trial]:
    """Fit the middle slice of a binned scan once for each budget (s), shortest first.

    Raises BadRequest when no readouts are held out.
    """
    middle, method = middle_slice(scan), Dainr()
    config, _ = method.resolve(middle, config)
    for budget in sorted(set(budgets)):
        recon = method(middle, with_budget(config, budget), observers)
        excess, fit = excess_error(recon), recon.record["slices"][0]["fit"]
        trial = Trial(
            budget, fit["seconds"], recon.record["seconds"]["total"], fit["steps"], fit["heldout_error"], excess
        )
        if reference is not None:
            index = scan.n_slices // 2
            scores = evaluate(recon.cine.data, reference[index : index + 1])
            trial = replace(trial, psnr=scores.whole.psnr, dynamic_psnr=scores.dynamic.psnr)
        yield trial


def with_budget(config: DainrConfig, seconds: float) -> DainrConfig:
    """The same fit, its steps limited by the clock alone."""
    return replace(config, fit=replace(config.fit, iterations=0, budget_s=seconds))


def recommend(sweeps: Sequence[Sequence[Trial]]) -> float:
    """The smallest budget (s) whose error, in the median over the scans, is nearly each one's best."""
    best = [min(trial.excess for trial in trials) for trials in sweeps]
    by_budget = zip(*(sorted(trials, key=lambda t: t.budget_s) for trials in sweeps), strict=True)
    for same in by_budget:
        if median(t.excess / max(least, 1e-12) for t, least in zip(same, best, strict=True)) <= 1 + NEARLY:
            return same[0].budget_s
    return max(trial.budget_s for trial in sweeps[0])


def agreement(trials: Sequence[Trial]) -> float | None:
    """Spearman's rank correlation of held-out error, negated, and PSNR; None without two different scores to rank."""
    errors, scores = [-trial.heldout for trial in trials], [trial.psnr for trial in trials]
    if None in scores or len(set(scores)) < 2 or len(set(errors)) < 2:
        return None
    return float(spearmanr(errors, scores).statistic)


def as_preset(config: DainrConfig, about: str) -> dict[str, Any]:
    """What a config changes of the defaults, ready for TOML, with a line that says where it comes from."""
    changed = _changed(config_dict(config), config_dict(DainrConfig()))
    return {"about": about} | {k: v for k, v in changed.items() if k not in OF_THE_MACHINE}


def _changed(ours: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ, nested as they were."""
    found: dict[str, Any] = {}
    for key, value in ours.items():
        if isinstance(value, dict):
            inner = _changed(value, defaults[key])
            found |= {key: inner} if inner else {}
        elif value != defaults[key]:
            found[key] = value
    return found
