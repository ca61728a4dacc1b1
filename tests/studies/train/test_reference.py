"""References in the units of a fit: brightness and phase are those that the samples were measured with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dainr.errors import BadScan
from dainr.losses.consistency import relative_misfit
from dainr.operators.measured import Measurements
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.prepare.groups import measurements
from dainr.scan import Scan
from dainr.studies.train.reference import in_units_of_the_fit


def measured_of(scan: Scan) -> Measurements:
    prepared = prepare_slice(scan, 0, PrepareConfig(holdout=0.0), 0)
    data = frame_data(prepared, ~prepared.held_out, "finufft", torch.device("cpu"))
    return measurements(prepared, data, False)


@pytest.fixture(params=["radial_scan", "cartesian_scan"])
def scan(request: pytest.FixtureRequest) -> Scan:
    """With a smooth phase that is not the reference's, and maps that are estimated."""
    found: Scan = request.getfixturevalue(request.param)
    return replace(found, coil_maps=None)


def test_the_reference_explains_the_samples_but_for_noise(scan: Scan) -> None:
    assert scan.reference is not None
    of_scan = measured_of(scan)
    measured = of_scan.of()
    noise = float(of_scan.noise_std**2 * measured.weight / measured.energy)
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in scan.matrix], indexing="ij")
    for phase in (0 * x, 1.5 * x - y + x * y):
        truth = 7 * scan.reference[0] * np.exp(1j * phase)
        found = in_units_of_the_fit(truth, of_scan, "scan")
        assert float(relative_misfit(measured, found)) <= noise + 0.02
        sizes = [np.abs(series) / np.abs(series).max() for series in (found.numpy(), truth)]
        assert np.allclose(*sizes, atol=1e-4)


def test_references_of_something_else_are_refused(scan: Scan) -> None:
    assert scan.reference is not None
    of_scan, truth = measured_of(scan), np.asarray(scan.reference[0])
    with pytest.raises(BadScan, match="unexplained"):
        in_units_of_the_fit(np.roll(truth, 12, -1), of_scan, "scan")
    with pytest.raises(BadScan, match="unexplained"):
        in_units_of_the_fit(np.zeros_like(truth), of_scan, "scan")
    with pytest.raises(BadScan, match="has shape"):
        in_units_of_the_fit(truth[:, 1:], of_scan, "scan")
