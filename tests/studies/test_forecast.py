"""What a fit will take, extrapolated from a few steps."""

import time
from dataclasses import replace

import pytest
import torch

from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.memory import fit_bytes
from dainr.runs.run import Request
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.studies.forecast import CUDA_BYTES, STEPS, Costs, fit_seconds, forecast, gpu_bytes
from tests.conftest import TINY, TINY_PAPER
from tests.helper import repeated

REQUEST = Request("dainr", "default", "scan.h5", "0")
COSTS = Costs(once=2.0, early=1.0, late=3.0, validation=0.5)


@pytest.mark.parametrize(
    ("iterations", "budget_s", "seconds"),
    [(100, 0.0, 60 + 120 + 2 + 5), (10, 0.0, 6 + 12 + 2 + 0.5), (100, 30.0, 30), (0, 500.0, 500), (10, 30.0, 20.5)],
)
def test_steps_and_what_comes_on_top_add_up_to_the_budget_at_most(
    iterations: int, budget_s: float, seconds: float
) -> None:
    config = build_config(DainrConfig, {}, [f"iterations={iterations}", f"budget_s={budget_s}", "validate_every=10"])
    assert fit_seconds(COSTS, config) == pytest.approx(seconds)


@pytest.mark.parametrize("settings", [TINY, TINY_PAPER])
def test_a_few_steps_tell_of_many(settings: tuple[str, ...], radial_scan: Scan) -> None:
    config = build_config(DainrConfig, {}, [*settings, "device=cpu"])
    short = forecast(radial_scan, REQUEST, config)
    long = forecast(radial_scan, REQUEST, replace(config, fit=replace(config.fit, iterations=100_000)))
    assert 0 < short.seconds < long.seconds / 10
    assert 100 < short.memory_mb < 20_000


def test_slices_take_their_time_one_after_another_and_little_memory(radial_scan: Scan) -> None:
    config = build_config(DainrConfig, {}, [*TINY, "device=cpu", "iterations=0", "budget_s=1000"])
    one = forecast(radial_scan, REQUEST, config)
    three = forecast(repeated(replace(radial_scan, reference=None), 3), REQUEST, config)
    assert 3000 < three.seconds < 3 * 1000 + 3 * 100
    assert three.memory_mb < one.memory_mb + 500


def test_steps_are_waited_for_and_memory_of_a_gpu_is_counted(
    radial_scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that has done nothing when it is asked to: the time is that of waiting."""
    config = build_config(DainrConfig, {}, [*TINY, "device=cpu", "iterations=1000", "validate_every=1000"])
    waits: list[torch.device] = []

    def wait(device: torch.device) -> None:
        waits.append(device)
        time.sleep(0.05)

    monkeypatch.setattr("dainr.studies.forecast.synchronise", wait)
    told = forecast(radial_scan, REQUEST, config)
    assert waits == [torch.device("cpu")] * STEPS
    assert told.seconds > 1000 * 0.05
    assert told.gpu_memory_mb == pytest.approx(gpu_bytes(radial_scan, config) / 2**20)
    assert gpu_bytes(radial_scan, config) > CUDA_BYTES + fit_bytes(radial_scan, config)
