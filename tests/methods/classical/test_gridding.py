"""Gridding: the baseline, on and off the grid."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.assess.scores import evaluate
from dainr.assess.verdict import judge
from dainr.errors import BadRequest, BadScan, MissingBackend
from dainr.methods import METHODS, get_method
from dainr.methods.classical.gridding import Gridding, GriddingConfig
from dainr.methods.recon import Recon
from dainr.scan import Scan
from dainr.settings.build import build_config
from tests.conftest import as_points
from tests.helper import repeated


def grid(scan: Scan, *pairs: str) -> Recon:
    method = Gridding()
    config, _ = method.resolve(scan, build_config(GriddingConfig, {}, ["nufft=finufft", "device=cpu", *pairs]))
    return method(scan, config)


@pytest.fixture(scope="module")
def gridded(radial_scan: Scan) -> Recon:
    return grid(radial_scan)


def test_the_result_has_the_geometry_of_the_scan(gridded: Recon, radial_scan: Scan) -> None:
    cine = gridded.cine
    assert cine.data.shape == (1, 6, 32, 32)
    assert cine.data.dtype == np.complex64
    assert (cine.fov_mm, cine.slice_thickness_mm) == (radial_scan.fov_mm, radial_scan.slice_thickness_mm)
    assert np.all(np.diff(cine.times) > 0)
    np.testing.assert_array_equal(gridded.gridded, np.abs(cine.data))
    assert (gridded.method, gridded.fields, gridded.histories) == ("gridding", (), ())


def test_it_resembles_the_reference_in_shape_and_scale(gridded: Recon, radial_scan: Scan) -> None:
    assert evaluate(gridded.cine.data, radial_scan.reference).whole.psnr > 14
    image, truth = np.abs(gridded.cine.data), radial_scan.reference
    assert 0.5 < (image * truth).sum() / (image * image).sum() < 2


def test_cartesian_data_takes_the_fft(cartesian_scan: Scan) -> None:
    method = Gridding()
    config, record = method.resolve(cartesian_scan, GriddingConfig(device="cpu"))
    assert record == {"fourier": "fft"}
    assert evaluate(method(cartesian_scan, config).cine.data, cartesian_scan.reference).whole.psnr > 14


def test_every_readout_is_used_for_nothing_is_validated(radial_scan: Scan, gridded: Recon) -> None:
    config, _ = Gridding().resolve(radial_scan, GriddingConfig(device="cpu", nufft="finufft"))
    assert config.prepare.holdout == 0
    (record,) = gridded.record["slices"]
    assert record["prepare"]["held_out_readouts"] == 0
    assert "fit" not in record
    assert [f.level for f in judge(gridded.record)] == ["caution"]


def test_two_slices_are_gridded_each_as_if_alone(radial_scan: Scan, gridded: Recon) -> None:
    pair = stack(radial_scan, 10 * radial_scan.kspace)
    both = grid(pair)
    assert both.cine.data.shape == (2, 6, 32, 32)
    assert len(both.record["slices"]) == 2
    np.testing.assert_allclose(both.cine.data[0], gridded.cine.data[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(both.cine.data[1], 10 * both.cine.data[0], rtol=1e-2, atol=1.0)


def stack(scan: Scan, kspace: np.ndarray) -> Scan:
    """The scan as first slice, and other samples along the same trajectory as second."""
    return replace(repeated(scan, 2), kspace=np.concatenate([scan.kspace, kspace]))


def test_auto_is_resolved_to_the_backend_that_was_fastest(radial_scan: Scan) -> None:
    config, record = Gridding().resolve(radial_scan, GriddingConfig())
    assert config.nufft == record["fourier"] in record["nufft_seconds_per_frame"]
    assert config.device.split(":")[0] in ("cpu", "cuda")


def test_readouts_without_frames_are_refused(radial_scan: Scan) -> None:
    with pytest.raises(BadScan, match="not binned into frames; choose --spokes-per-frame N"):
        Gridding()(replace(radial_scan, frame=None), GriddingConfig(device="cpu", nufft="finufft"))


@pytest.mark.parametrize("device", ["gpu", "meta", "cpu:many", ""])
def test_an_unknown_device_is_refused(radial_scan: Scan, device: str) -> None:
    with pytest.raises(BadRequest, match="there is no such device; choose auto, cpu, cuda"):
        Gridding().resolve(radial_scan, GriddingConfig(device=device))


def test_a_cuda_device_that_is_not_there_is_missing(radial_scan: Scan) -> None:
    with pytest.raises(MissingBackend, match="--device cuda:99"):
        Gridding().resolve(radial_scan, GriddingConfig(device="cuda:99"))


def test_a_backend_for_another_device_is_missing(radial_scan: Scan) -> None:
    with pytest.raises(MissingBackend, match="nufft=cufinufft"):
        Gridding().resolve(radial_scan, GriddingConfig(device="cpu", nufft="cufinufft"))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is_and_has_defaults(name: str) -> None:
    method = get_method(name)
    assert method.about
    assert method.Config() == build_config(method.Config, {})


def test_an_unknown_method_names_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"--method magic: there is no such method; choose dainr or grasp or l\+s"):
        get_method("magic")


def test_gridding_restores_no_field() -> None:
    assert Gridding().restore(GriddingConfig(), (8, 8), {}, {}) == ()


def test_points_of_a_grid_give_the_images_that_their_lines_give(cartesian_scan: Scan) -> None:
    lines, points = grid(cartesian_scan), grid(as_points(cartesian_scan))
    np.testing.assert_allclose(points.cine.data, lines.cine.data, atol=1e-4 * np.abs(lines.cine.data).max())
