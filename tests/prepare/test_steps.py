"""A prepared slice: white, scaled to a bright image of one, independent of the units of the file, and on record."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.errors import BadRequest, BadScan
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frames import bin_spokes
from dainr.prepare.resize import resize_matrix
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.io import random_complex, small_scan


def prepared(scan, seed=0, index=0, **settings):
    return prepare_slice(scan, index, PrepareConfig(**settings), seed)


@pytest.mark.parametrize("kind", ["radial_scan", "cartesian_scan"])
def test_noise_after_preparation_is_white_and_of_the_stated_level(kind, request):
    scan = request.getfixturevalue(kind)
    shape = scan.kspace.shape[1:]
    extra = np.tensordot(np.linalg.cholesky(np.cov(scan.noise)), random_complex(*shape, seed=6) / np.sqrt(2), 1)
    maps = np.ones((1, 4, *scan.matrix), np.complex64)
    noisier = replace(scan, kspace=(scan.kspace + extra).astype(np.complex64))
    before, after = (prepared(replace(s, coil_maps=maps), holdout=0.0) for s in (scan, noisier))
    noise = (after.kspace * after.scale - before.kspace * before.scale).reshape(4, -1)
    np.testing.assert_allclose(np.cov(noise), np.eye(4), atol=0.1)
    assert before.noise_std == pytest.approx(1 / before.scale)


@pytest.mark.parametrize("kind", ["radial_scan", "cartesian_scan"])
def test_the_units_of_the_file_do_not_matter(kind, request):
    scan = request.getfixturevalue(kind)
    other = replace(scan, kspace=scan.kspace * np.complex64(1e-4j), noise=scan.noise * np.complex64(1e-4))
    a, b = prepared(scan), prepared(other)
    np.testing.assert_allclose(b.kspace, 1j * a.kspace, atol=1e-4 * np.abs(a.kspace).max())
    assert b.noise_std == pytest.approx(a.noise_std, rel=1e-3)


@pytest.mark.parametrize("pattern", ["radial", "vista"])
def test_the_scale_is_the_brightness_of_the_true_images_in_units_of_the_noise(pattern):
    scan = simulate_phantom(
        SimulationConfig(pattern=pattern, spokes=21, acceleration=2, coils=4, frames=4, matrix=40, snr=100)
    )
    bright = np.percentile(scan.reference[0].mean(0), 99.5)
    assert prepared(scan).scale == pytest.approx(bright, rel=0.2)


def test_a_prepared_slice_belongs_together(radial_scan):
    slice_ = prepared(radial_scan)
    assert slice_.kspace.dtype == np.complex64
    assert slice_.kspace.shape == (4, 54, 64)
    assert slice_.trajectory.shape == (54, 64, 2)
    assert slice_.coil_maps.shape == (4, 32, 32)
    assert not slice_.cartesian
    assert slice_.density.min() < slice_.density.max() == 1
    np.testing.assert_allclose(slice_.frame_times, np.arange(6) / 6, atol=1e-6)
    assert slice_.held_out.sum() == round(0.03 * 54) == slice_.record["held_out_readouts"]


def test_a_cartesian_slice_weighs_every_sample_alike(cartesian_scan):
    slice_ = prepared(cartesian_scan)
    assert slice_.cartesian
    assert (slice_.density == 1).all()
    assert slice_.record["density"] == "one"


def test_what_validates_is_not_seen_by_maps_or_scale(radial_scan):
    held = prepared(radial_scan, holdout=0.2).held_out
    kspace = radial_scan.kspace.copy()
    kspace[:, :, held] *= 50
    clean, spoilt = prepared(radial_scan, holdout=0.2), prepared(replace(radial_scan, kspace=kspace), holdout=0.2)
    np.testing.assert_array_equal(clean.held_out, spoilt.held_out)
    np.testing.assert_array_equal(clean.coil_maps, spoilt.coil_maps)
    assert clean.scale == spoilt.scale


def test_the_seed_chooses_what_validates(radial_scan):
    scan = replace(radial_scan, coil_maps=np.ones((1, 4, 32, 32), np.complex64))
    first, again, other = (prepared(scan, seed=seed, holdout=0.1).held_out for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_maps_of_the_file_are_whitened_and_used():
    random = np.random.default_rng(0)
    mixing = random_complex(3, 3, seed=4) + 2 * np.eye(3)
    noise = (mixing @ random_complex(3, 4000, seed=5)).astype(np.complex64)
    scan = small_scan(noise=noise, trajectory=random.uniform(-0.5, 0.5, (2, 6, 10, 2)).astype(np.float32))
    slice_ = prepared(scan, index=1, coil_loss=0.0)
    assert slice_.record["coil_maps"] == "from the file"
    expected = np.tensordot(np.linalg.inv(np.linalg.cholesky(noise @ noise.conj().T)), scan.coil_maps[1], 1)
    likeness = np.abs((slice_.coil_maps.conj() * expected).sum(0)) / np.linalg.norm(expected, axis=0)
    np.testing.assert_allclose(likeness, 1, atol=1e-3)
    assert prepared(scan, index=1, coil_maps="estimate").record["coil_maps"] != "from the file"


def test_virtual_coils_are_used_throughout_and_recorded(radial_scan):
    slice_ = prepared(radial_scan, virtual_coils=2)
    assert len(slice_.kspace) == len(slice_.coil_maps) == 2
    assert (slice_.record["coils"], slice_.record["virtual_coils"]) == (4, 2)
    assert 0.5 < slice_.record["energy_kept"] < 1
    with pytest.raises(BadRequest, match="virtual_coils=5"):
        prepared(radial_scan, virtual_coils=5)


def test_coils_are_left_out_only_where_the_loss_allows_it(radial_scan):
    chosen, whole = prepared(radial_scan, coil_loss=0.3), prepared(radial_scan, coil_loss=0.0)
    assert 1 <= chosen.record["virtual_coils"] < 4
    assert len(whole.kspace) == 4
    assert "virtual_coils" not in whole.record


def test_the_record_says_where_the_noise_is_from_and_how_maps_were_made(radial_scan):
    assert prepared(radial_scan).record["noise_from"] == "noise measurement"
    record = prepared(replace(radial_scan, noise=None)).record
    assert "no noise measurement" in record["noise_from"]
    assert "ESPIRiT" in record["coil_maps"]
    assert 0 < record["coil_maps_unexplained"] < 1
    beats = np.tile(np.arange(9.0), (1, 6))
    assert "spread over one cycle" in prepared(replace(radial_scan, times=beats)).record["frame_times"]


def test_what_cannot_be_prepared_is_refused(radial_scan):
    with pytest.raises(BadScan, match="--spokes-per-frame"):
        prepared(replace(radial_scan, frame=None))
    with pytest.raises(BadScan, match="no coil maps"):
        prepared(radial_scan, coil_maps="file")
    empty = replace(radial_scan, coil_maps=np.zeros((1, 4, 32, 32), np.complex64))
    with pytest.raises(BadScan, match="coil maps of slice 0 are zero"):
        prepared(empty)


@pytest.mark.parametrize(
    "settings",
    [{"holdout": 0.6}, {"holdout": -0.1}, {"holdout": float("nan")}, {"virtual_coils": -1}, {"coil_loss": 1.0}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(BadRequest, match=next(iter(settings))):
        PrepareConfig(**settings)


@pytest.mark.parametrize("signal", ["nothing", "noise"])
def test_frames_without_signal_are_told(radial_scan, signal):
    assert prepared(radial_scan).record["frames_without_signal"] == []
    kspace, silent = radial_scan.kspace.copy(), np.isin(radial_scan.frame[0], [1, 3])
    random = np.random.default_rng(0)
    noise = radial_scan.noise[:, random.integers(0, radial_scan.noise.shape[1], (silent.sum(), kspace.shape[3]))]
    kspace[0][:, silent] = noise if signal == "noise" else 0
    assert prepared(replace(radial_scan, kspace=kspace)).record["frames_without_signal"] == [1, 3]


def test_stored_density_weighs_the_data_whatever_its_scale(radial_scan):
    random = np.random.default_rng(3)
    density = random.uniform(0.1, 5, (1, *radial_scan.kspace.shape[2:])).astype(np.float32)
    found = prepared(replace(radial_scan, density=density))
    np.testing.assert_allclose(found.density, density[0] / density.max(), rtol=1e-6)
    assert (found.record["density"], prepared(radial_scan).record["density"]) == ("stored", "ramp")


def test_stored_density_follows_its_readouts_through_binning_and_another_matrix(radial_scan):
    marked = np.broadcast_to(np.arange(radial_scan.n_readouts)[:, None], radial_scan.kspace.shape[2:])
    density = (marked[None] + np.linspace(0.1, 0.9, radial_scan.n_samples)).astype(np.float32)
    scan = replace(radial_scan, density=density, times=radial_scan.times[:, ::-1], frame=None)
    binned = bin_spokes(scan, 4, every=2)
    for readout, of_readout in enumerate(binned.copy_of[0]):
        np.testing.assert_array_equal(binned.density[0, readout], density[0, of_readout])
    small = resize_matrix(binned, (16, 16))
    assert small.density.shape == small.kspace[:, 0].shape
    np.testing.assert_array_equal(np.floor(small.density[0, :, 0]), binned.copy_of[0])


def test_a_density_of_zeros_or_below_zero_is_refused(radial_scan):
    density = np.ones((1, *radial_scan.kspace.shape[2:]), np.float32)
    for wrong in (-density, 0 * density):
        with pytest.raises(BadScan, match="density"):
            replace(radial_scan, density=wrong)
