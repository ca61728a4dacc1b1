"""A step of the warped field by the kernels for CUDA: on a GPU where there is one, or in Triton's interpreter."""

from collections import Counter
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from torch import Tensor

from dainr.fields.lookup import lookup_at_pixels
from dainr.fields.warped import WarpedCine
from dainr.kernels.compiling import passes_of, plain_torch
from dainr.methods.dainr.objective import Objective, ObjectiveConfig
from dainr.operators import FrameData, acquisition
from tests.helper import random_complex
from tests.methods.dainr.test_objective import N_FRAMES, NOISE, make

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
N_POINTS = 40  # of every frame
# lookup and NUFFT, forward and back: products; temporal variation: of the images and of canonical space
LAUNCHES = {
    "_sparse_product": 4,
    "_warp_forward": 1,
    "_warp_backward": 1,
    "_sums_to_float": 1,
    "_huber": 1,
    "_coil_sums": 1,
}
LAUNCHES |= {"_temporal": 2, "_spatial": 1, "_magnitude": 1}


def measured(field: WarpedCine) -> FrameData:
    """Samples off the grid, of other images."""
    trajectory = np.random.default_rng(0).uniform(-0.5, 0.5, (N_FRAMES, N_POINTS, 2)).astype(np.float32)
    maps = field.base_maps.cpu().numpy()
    operator = acquisition(maps, trajectory, np.arange(N_FRAMES), N_FRAMES, False, "sparse", DEVICE)
    total = N_FRAMES * N_POINTS
    return FrameData(
        kspace=random_complex(len(maps), total, seed=3).to(DEVICE),
        density=torch.rand(total, generator=torch.Generator().manual_seed(2)).to(DEVICE),
        times=torch.arange(N_FRAMES, dtype=torch.float64),
        operator=operator,
        frames=tuple(map(float, range(N_FRAMES))),
        starts=tuple(range(0, total + 1, N_POINTS)),
    )


def step(passes: AbstractContextManager[None], cyclic: bool) -> dict[str, Tensor]:
    """The objective and its gradients to all parameters, everything anew."""
    lookup_at_pixels.cache_clear()  # it keeps the products it was made with
    with passes:
        field = make(cyclic).to(DEVICE)
        value = Objective(ObjectiveConfig(), NOISE)(field, measured(field).batch(None, 1.0))
        value.backward()
    lookup_at_pixels.cache_clear()
    gradients = {name: p.grad for name, p in field.named_parameters() if p.grad is not None}
    return {"value": value.detach(), **gradients}


@pytest.mark.parametrize("cyclic", [True, False])
def test_value_and_gradients_of_a_step_are_those_of_plain_torch(cyclic: bool) -> None:
    passes = pytest.importorskip("tests.kernels.cuda_passes", reason="Triton is not for this system")
    with passes.recorded(done=True) as launches:
        found = step(passes_of("cuda"), cyclic)
    assert Counter(launch.kernel.fn.__name__ for launch in launches) == LAUNCHES
    expected = step(plain_torch(), cyclic)
    assert found.keys() == expected.keys()
    assert len(found) > 10
    for name, value in expected.items():
        most = float(value.abs().max())
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4 * most, msg=lambda m, n=name: f"{n}: {m}")
