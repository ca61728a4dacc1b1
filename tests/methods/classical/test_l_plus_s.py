"""L + S: what stands still goes to L, what moves to S, and the objective is the one stated."""

import itertools

import pytest
import torch

from dainr.errors import BadRequest
from dainr.methods.classical.iterations import Iterate
from dainr.methods.classical.l_plus_s import LowRankPlusSparse, LPlusS, LPlusSConfig, singular_values
from dainr.methods.slices import Slice
from dainr.scan import Scan
from dainr.settings.build import build_config
from tests.helper import random_complex
from tests.methods.test_slices import slice_of

CPU = torch.device("cpu")


def iterates(part: Slice, config: LPlusSConfig, count: int) -> list[Iterate]:
    with torch.no_grad():
        return list(itertools.islice(LPlusS().iterate(part, config), count))


@pytest.fixture(scope="module")
def path(radial_scan: Scan) -> list[Iterate]:
    return iterates(slice_of(radial_scan), LPlusSConfig(), 30)


def test_the_background_goes_to_l_and_the_motion_to_s(path: list[Iterate], radial_scan: Scan) -> None:
    assert path[-1].parts is not None
    low_rank, sparse = path[-1].parts
    assert float((low_rank + sparse - path[-1].images).norm() / path[-1].images.norm()) < 0.05
    reference = torch.from_numpy(radial_scan.reference[0])
    spread = reference.std(0)
    moving, bright = spread > spread.flatten().quantile(0.9), reference.mean(0) > 0.2 * reference.max()
    still = bright & (spread < 0.02 * reference.max())
    assert int(still.sum()) > 20
    energy = [part.abs().square().sum(0) for part in (low_rank, sparse)]
    assert float(energy[1][still].sum() / energy[0][still].sum()) < 0.3
    values = singular_values(low_rank)[0]
    assert int((values > 1e-3 * values.max()).sum()) <= 3
    motion = [float(part.std(0)[moving].square().sum()) for part in (low_rank, sparse)]
    assert motion[1] > 5 * motion[0]


def test_it_comes_close_to_the_minimum_of_the_objective_it_states(path: list[Iterate]) -> None:
    stopped = next(iterate for iterate in path if iterate.residual < LPlusSConfig().tolerance)
    assert path[-1].objective < stopped.objective < 1.05 * path[-1].objective


def test_the_cost_is_nuclear_norm_and_sum_of_frequencies() -> None:
    splitting = LowRankPlusSparse(5, 2.0, 3.0, CPU)
    parts = random_complex(2, 5, 4, 6)
    nuclear = torch.linalg.svdvals(parts[0].flatten(1)).sum()
    frequencies = torch.fft.fft(parts[1], dim=0, norm="ortho").abs().sum()
    assert splitting.cost(parts) == pytest.approx(float(2 * nuclear + 3 * frequencies), rel=1e-5)


def test_shrinking_takes_from_singular_values_and_from_frequencies() -> None:
    splitting = LowRankPlusSparse(5, 2.0, 3.0, CPU)
    splitting.rho = 2.0
    parts = random_complex(2, 5, 4, 6)
    shrunk = splitting.shrink(parts)
    u, s, vh = torch.linalg.svd(parts[0].flatten(1), full_matrices=False)
    expected = (u * (s - 1.0).clamp(min=0)) @ vh
    torch.testing.assert_close(shrunk[0].flatten(1), expected, rtol=1e-4, atol=1e-4)
    before, after = (torch.fft.fft(p[1], dim=0, norm="ortho").abs() for p in (parts, shrunk))
    torch.testing.assert_close(after, (before - 1.5).clamp(min=0), rtol=1e-4, atol=1e-4)


def test_parts_are_the_nearest_that_add_up_to_the_images() -> None:
    splitting = LowRankPlusSparse(5, 1.0, 1.0, CPU)
    x, target = random_complex(5, 3, 4), random_complex(2, 5, 3, 4, seed=1)
    parts = splitting.parts(x, target)
    torch.testing.assert_close(parts.sum(0), x)
    torch.testing.assert_close(parts[0] - parts[1], target[0] - target[1])


@pytest.mark.parametrize("pair", ["low_rank=0", "sparse=-1"])
def test_weights_must_be_positive(pair: str) -> None:
    with pytest.raises(BadRequest, match="out of range; choose 1e-09 to"):
        build_config(LPlusSConfig, {}, [pair])
