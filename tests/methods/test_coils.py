"""Receive coils as they come: a dead one, a single one, and many more than the signal needs."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.assess.scores import evaluate
from dainr.methods import get_method
from dainr.methods.recon import Recon
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.conftest import TINY

PHANTOM = SimulationConfig(spokes=9, frames=6, matrix=32)


def fit(scan: Scan, name: str) -> Recon:
    method = get_method(name)
    pairs = [*TINY, "iterations=40"] if name == "dainr" else ["nufft=finufft"]
    config, _ = method.resolve(scan, build_config(method.Config, {}, [*pairs, "device=cpu"]))
    return method(scan, config)


def psnr(recon: Recon, scan: Scan) -> float:
    return evaluate(recon.cine.data, scan.reference).whole.psnr


@pytest.mark.parametrize("method", ["dainr", "grasp"])
@pytest.mark.parametrize("noise", ["measured", "silent too", "not measured"])
def test_a_dead_coil_costs_nothing(method: str, noise: str) -> None:
    scan = simulate_phantom(replace(PHANTOM, coils=4))
    assert scan.noise is not None
    dead = np.concatenate([scan.kspace, np.zeros_like(scan.kspace[:, :1])], 1)
    silent = np.concatenate([scan.noise, np.zeros_like(scan.noise[:1])])
    heard = np.concatenate([scan.noise, scan.noise[::-1][:1, ::-1]])
    measured = {"measured": heard, "silent too": silent, "not measured": None}[noise]
    without = replace(scan, noise=None) if noise == "not measured" else scan
    assert psnr(fit(replace(scan, kspace=dead, noise=measured), method), scan) > psnr(fit(without, method), scan) - 0.5


@pytest.mark.parametrize("method", ["dainr", "grasp"])
def test_a_single_coil_is_enough(method: str) -> None:
    scan = simulate_phantom(replace(PHANTOM, coils=1))
    assert psnr(fit(scan, method), scan) > psnr(fit(scan, "gridding"), scan) + 1


def test_many_coils_are_compressed_to_those_that_hold_signal() -> None:
    scan = simulate_phantom(replace(PHANTOM, coils=32))
    recon = fit(scan, "dainr")
    prepared = recon.record["slices"][0]["prepare"]
    assert prepared["coils"] == 32 and prepared["virtual_coils"] <= 12
    assert psnr(recon, scan) > psnr(fit(scan, "gridding"), scan) + 3
