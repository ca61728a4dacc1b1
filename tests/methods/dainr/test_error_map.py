"""The error map: calibrated, reproducible, in the run's folder, and only there when it is asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import dainr
from benchmarks.error_map import correlation, coverage
from benchmarks.fully_sampled import phantom_with_truth
from dainr.errors import BadRequest
from dainr.fit.state import Checkpoint, RunState
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.error_map import bound
from dainr.methods.dainr.method import Dainr
from dainr.methods.recon import Recon
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.simulate import SimulationConfig
from tests.conftest import TINY, TINY_PAPER
from tests.helper import repeated

SETTINGS = dict(pair.split("=", 1) for pair in TINY)


def fit(scan: Scan, *pairs: str, resume: RunState | None = None) -> Recon:
    config, _ = Dainr().resolve(scan, build_config(DainrConfig, {}, [*TINY, "device=cpu", *pairs]))
    return Dainr()(scan, config, resume=resume)


@pytest.fixture(scope="module")
def mapped(radial_scan: Scan) -> Recon:
    return fit(radial_scan, "error_map=yes")


def test_four_of_five_pixels_are_off_by_less_and_the_map_knows_where() -> None:
    config = SimulationConfig(pattern="vista", acceleration=4, frames=8, matrix=64, phantom="bolus")
    scan = frames_as_stored(phantom_with_truth(config))
    recon = dainr.reconstruct(replace(scan, reference=None), device="cpu", settings={"error_map": "yes"})
    assert recon.error_map is not None
    assert 0.65 < coverage(recon.cine.data, recon.error_map, scan.reference) < 0.95
    assert correlation(recon.cine.data, recon.error_map, scan.reference) > 0.6


def test_the_same_seed_gives_the_same_map_and_another_one_another(mapped: Recon, radial_scan: Scan) -> None:
    assert np.array_equal(fit(radial_scan, "error_map=yes").error_map, mapped.error_map)
    assert not np.array_equal(fit(radial_scan, "error_map=yes", "seed=1").error_map, mapped.error_map)


def test_images_and_field_are_the_same_with_a_map_and_without(mapped: Recon, radial_scan: Scan) -> None:
    plain = fit(radial_scan)
    assert plain.error_map is None
    assert "error_map" not in plain.record["seconds"]
    assert np.array_equal(plain.cine.data, mapped.cine.data)
    for ours, theirs in zip(plain.fields[0].state_dict().values(), mapped.fields[0].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_map_is_in_image_units_and_its_time_is_recorded(mapped: Recon) -> None:
    assert mapped.error_map.dtype == np.float32
    assert mapped.error_map.shape == mapped.cine.data.shape
    image, error = np.abs(mapped.cine.data), mapped.error_map
    said = mapped.record["slices"][0]["fit"]["image_error"]
    assert 0.3 * said < np.linalg.norm(error) / np.linalg.norm(image) < 4 * said
    assert mapped.record["seconds"]["error_map"] > 0


def test_a_finished_slice_gets_the_same_map_when_the_run_is_resumed(mapped: Recon, radial_scan: Scan) -> None:
    done = Checkpoint(mapped.fields[0].state_dict(), mapped.histories[0])
    again = fit(radial_scan, "error_map=yes", resume=RunState(finished={0: done}))
    assert np.array_equal(again.error_map, mapped.error_map)


def test_each_slice_has_a_map_in_its_own_units(radial_scan: Scan) -> None:
    stack = replace(repeated(radial_scan, 2), reference=None)
    brighter = replace(stack, kspace=stack.kspace * np.array([1, 3], np.float32)[:, None, None, None])
    first, second = fit(brighter, "error_map=yes", "iterations=10").error_map
    assert 1.5 < np.median(second) / np.median(first) < 6


def test_a_map_without_held_out_readouts_goes_by_the_refits_alone(radial_scan: Scan) -> None:
    recon = fit(radial_scan, "error_map=yes", "holdout=0", "iterations=10")
    assert np.isfinite(recon.error_map).all()
    assert (recon.error_map > 0).all()


def test_frames_rendered_in_parts_give_a_map_as_well(radial_scan: Scan) -> None:
    recon = fit(radial_scan, "error_map=yes", "frames_at_once=2", "iterations=10")
    assert (recon.error_map > 0).all()


def test_subframes_give_a_map_as_well(radial_scan: Scan) -> None:
    recon = fit(radial_scan, "error_map=yes", "subframes=3", "iterations=10")
    assert recon.error_map.shape == recon.cine.data.shape


def test_a_bound_is_twice_as_large_for_an_image_twice_as_bright() -> None:
    random = np.random.default_rng(0)
    image, squares = random.random((4, 16, 16)).astype(np.float32), random.random((4, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(bound(2 * image, 4 * squares, 0.1), 2 * bound(image, squares, 0.1), rtol=1e-5)
    assert not bound(image, 0 * squares, 0.1).any()


@pytest.mark.parametrize("method", ["grasp", "l+s", "cg-sense", "gridding"])
def test_other_methods_refuse_it(radial_scan: Scan, method: str) -> None:
    with pytest.raises(BadRequest, match=f"method {re_escape(method)} gives no error map"):
        dainr.reconstruct(radial_scan, method, settings={"error_map": "yes"})


def test_the_pointwise_field_refuses_it(radial_scan: Scan) -> None:
    with pytest.raises(BadRequest, match="error_map: the pointwise field has no such part"):
        build_config(DainrConfig, {}, [*TINY_PAPER, "error_map=yes"])


def re_escape(text: str) -> str:
    return text.replace("+", r"\+")
