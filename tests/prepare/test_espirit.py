"""ESPIRiT against sigpy's, against BART's where it is installed, and against maps that are known."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.io.scans.bart import read_cfl, write_cfl
from dainr.prepare.espirit import espirit
from tests.io import centred_fft

KERNEL, THRESHOLD = 6, 0.02


def coil_images(n_coils: int, ny: int, nx: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images of a disc under smooth random maps of unit norm, and the maps."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (ny, nx)), indexing="ij")
    places, turns = random.uniform(-1.2, 1.2, (n_coils, 2)), random.uniform(-1, 1, (n_coils, 2))
    maps = np.stack(
        [
            np.exp(-((y - p[0]) ** 2 + (x - p[1]) ** 2) / 1.5 + 1j * (t[0] * y + t[1] * x))
            for p, t in zip(places, turns, strict=True)
        ]
    )
    maps /= np.linalg.norm(maps, axis=0)
    inside = np.hypot(y, x) < 0.8
    return maps * inside * (1 + 0.3 * random.standard_normal((ny, nx))), maps


def found(images: np.ndarray) -> np.ndarray:
    kspace = torch.from_numpy(centred_fft(images).astype(np.complex64))
    return espirit(kspace, 24, KERNEL, THRESHOLD).numpy()


def misalignment(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One less the cosine between two sets of maps, at every pixel."""
    return 1 - np.abs((a.conj() * b).sum(0)) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)


@settings(max_examples=8, deadline=None)
@given(n_coils=st.integers(2, 6), ny=st.sampled_from([40, 48]), nx=st.sampled_from([40, 56]), seed=st.integers(0, 99))
def test_known_maps_are_found_where_there_is_signal(n_coils: int, ny: int, nx: int, seed: int) -> None:
    images, maps = coil_images(n_coils, ny, nx, seed)
    ours, signal = found(images), np.abs(images).sum(0) > 0
    assert ours.shape == maps.shape
    np.testing.assert_allclose(np.linalg.norm(ours, axis=0), 1, rtol=1e-4)
    assert np.abs(np.angle(ours[0][np.abs(ours[0]) > 0.01])).max() < 1e-3  # the phase is relative to the first coil
    assert np.median(misalignment(ours, maps)[signal]) < 5e-3


def test_maps_are_those_of_sigpy_where_one_eigenvalue_leads() -> None:
    try:
        from sigpy.mri.app import EspiritCalib  # here, for it takes seconds to import
    except RuntimeError as error:  # it imports mpi4py where that is installed, which fails without MPI's library
        pytest.skip(f"sigpy does not load: {error}")

    images, _ = coil_images(5, 48, 40)
    theirs = EspiritCalib(
        centred_fft(images).astype(np.complex64),
        calib_width=24,
        thresh=THRESHOLD,
        kernel_width=KERNEL,
        crop=0,
        max_iter=100,
        show_pbar=False,
    ).run()
    apart = misalignment(found(images), theirs)[np.abs(images).sum(0) > 0]
    assert np.median(apart) < 1e-5
    assert np.quantile(apart, 0.95) < 1e-2


@pytest.mark.skipif(shutil.which("bart") is None, reason="BART is not installed")
def test_maps_are_those_of_bart_where_one_eigenvalue_leads(tmp_path: Path) -> None:
    images, _ = coil_images(5, 48, 40)
    write_cfl(tmp_path / "k.cfl", centred_fft(images).astype(np.complex64).transpose(2, 1, 0)[:, :, None])
    options = ["-m1", "-r24", f"-k{KERNEL}", f"-t{THRESHOLD**2}", "-c0"]
    subprocess.run(["bart", "ecalib", *options, "k", "maps"], cwd=tmp_path, check=True, capture_output=True)
    theirs = read_cfl(tmp_path / "maps.cfl").reshape(40, 48, 5).transpose(2, 1, 0)
    signal = (np.abs(images).sum(0) > 0) & (np.abs(theirs).sum(0) > 0)
    assert signal.any()
    assert np.median(misalignment(found(images), theirs)[signal]) < 1e-2


def test_one_coil_has_a_map_of_one() -> None:
    images, _ = coil_images(1, 40, 40)
    np.testing.assert_allclose(found(images), np.ones((1, 40, 40)), rtol=1e-5)
