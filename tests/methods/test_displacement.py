"""The motion of a reconstruction: its direction, its units, and what is refused."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from dainr.cine import Cine
from dainr.errors import BadRequest
from dainr.fields.canonical import CanonicalConfig
from dainr.fields.deformation import DeformationConfig
from dainr.fields.hash_grid import GridConfig
from dainr.fields.pointwise import PointwiseField
from dainr.fields.warped import WarpedCine, WarpedConfig
from dainr.methods.recon import Recon
from dainr.motion import composed, seen

TIMES, MATRIX = [0.0, 0.25, 0.5], (28, 36)
CONFIG = WarpedConfig(levels=1, base=6, log2_table=10, motion_control=8, motion_modes=3, coil_control=0)


def field(strength: float = 0.3, seed: int = 1) -> WarpedCine:
    """A field of smooth random motion and a canonical space that does not change with time."""
    torch.manual_seed(seed)
    model = WarpedCine(CONFIG, TIMES, MATRIX, torch.ones(1, *MATRIX, dtype=torch.complex64), cyclic=True)
    with torch.no_grad():
        model.grid.table.copy_(torch.randn_like(model.grid.table))
        model.motion.copy_(strength * torch.randn_like(model.motion))
        for layer in model.basis.parameters():
            layer.zero_()
    return model


@pytest.fixture
def recon() -> Recon:
    model = field()
    with torch.no_grad():
        images = model.render(TIMES, MATRIX).numpy()[None]
    cine = Cine(images, np.array(TIMES), (56.0, 36.0), 8.0, np.diag([1.0, 2.0, 8.0, 1.0]))
    return Recon("dainr", cine, {}, np.abs(cine.data), (model,), (1.0,))


def test_from_canonical_space_to_a_frame_and_back_is_nothing(recon: Recon) -> None:
    there, back = recon.displacement(), recon.displacement(kind="eulerian")
    assert there.found.all() and there.reference is None and np.abs(there.displacement).max() > 0.5
    for out, home in zip(there.displacement[0], back.displacement[0], strict=True):
        assert np.hypot(*composed(out, home))[4:-4, 4:-4].max() < 0.05


def test_eulerian_from_canonical_space_is_the_deformation_of_the_field(recon: Recon) -> None:
    expected = recon.fields[0].displacement([1.0], MATRIX).detach().numpy()
    np.testing.assert_allclose(recon.displacement([0.25], kind="eulerian").displacement[0], expected, atol=1e-6)


def test_the_reference_seen_by_the_eulerian_displacement_is_the_frame(recon: Recon) -> None:
    moved = recon.displacement(reference=0.0, kind="eulerian").displacement[0, 2]
    first, last = np.abs(recon.cine.data[0, 0]), np.abs(recon.cine.data[0, 2])
    inner = (slice(5, -5), slice(5, -5))
    left = np.abs(seen(first, moved, order=3) - last)[inner].mean()
    assert left < 0.25 * np.abs(first - last)[inner].mean()


def test_lagrangian_and_eulerian_are_inverse_of_each_other(recon: Recon) -> None:
    there = recon.displacement(reference=0.25, times=[0.5]).displacement[0, 0]
    back = recon.displacement(reference=0.25, times=[0.5], kind="eulerian").displacement[0, 0]
    assert np.hypot(*composed(there, back))[5:-5, 5:-5].max() < 0.05


def test_a_frame_to_itself_is_nothing_and_between_frames_is_in_between(recon: Recon) -> None:
    assert np.abs(recon.displacement(reference=0.25, times=[0.25]).displacement)[..., 4:-4, 4:-4].max() < 0.05
    motion = recon.displacement(reference=0.25, times=[0.25, 0.375, 0.5])
    sizes = np.hypot(*motion.displacement[0].transpose(1, 0, 2, 3)).mean((1, 2))
    assert sizes[1] == pytest.approx(0.5 * sizes[2], rel=0.2)


def test_another_matrix_is_the_same_motion_in_mm(recon: Recon) -> None:
    coarse, fine = recon.displacement(), recon.displacement(matrix=(84, 108))
    np.testing.assert_allclose(fine.mm[..., 1::3, 1::3], coarse.mm, atol=0.1)
    assert fine.spacing_mm == (56 / 84, 36 / 108)
    np.testing.assert_allclose(coarse.mm[..., 1, :, :], 2 * coarse.displacement[..., 1, :, :])


def test_folding_is_counted_and_said(recon: Recon, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        motion = replace(recon, fields=(field(6.0),)).displacement(kind="eulerian")
    assert motion.folded.any()
    assert f"folds in {motion.folded.sum()} of 3024 pixels" in caplog.text


def test_methods_without_a_deformation_refuse(recon: Recon) -> None:
    table = GridConfig(levels=2, finest=16, log2_table=10)
    still = PointwiseField(
        DeformationConfig(encoding="none"), CanonicalConfig(table=table, width=8), "native", TIMES, MATRIX, None
    )
    for bare in (replace(recon, fields=(), method="grasp"), replace(recon, fields=(still,))):
        with pytest.raises(BadRequest, match="fitted no deformation; fit the scan with --method dainr"):
            bare.displacement()


@pytest.mark.parametrize("asked", [{"reference": 0.6}, {"times": [9.0]}, {"matrix": (0, 4)}, {"n_frames": 0}])
def test_what_is_no_time_or_matrix_is_refused(recon: Recon, asked: dict) -> None:
    with pytest.raises(BadRequest):
        recon.displacement(**asked)
