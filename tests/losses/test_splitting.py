"""SSDU: the two sets of a split, the third, and the value of the loss by hand."""

import pytest
import torch

from dainr.errors import BadRequest
from dainr.losses.splitting import SplittingConfig, split, ssdu
from dainr.operators.measured import Measured
from tests.helper import random_complex
from tests.losses.lines import MATRIX, lines_scan, some_scan


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n_central", [0, 2])
@pytest.mark.parametrize("ratio", [0.05, 0.4, 0.9])
def test_two_sets_share_the_centre_alone_and_are_all_together(n_central: int, ratio: float) -> None:
    scan = some_scan(n_central=n_central)
    centre = torch.zeros(4, scan.n_groups, dtype=torch.bool)
    centre[:, 0] = n_central > 0
    for seed in range(20):
        seen, judging = split(scan, ratio, generator(seed))
        assert torch.equal(seen & judging, centre)
        assert torch.equal(seen | judging, scan.filled)
        assert (seen & ~centre).any()
        assert (judging & ~centre).any()


def test_every_group_judges_as_often_as_the_ratio_says_and_evenly() -> None:
    scan, g = some_scan(), generator()
    drawn = torch.stack([split(scan, 0.4, g)[1][:, 1:] for _ in range(400)]).float()
    torch.testing.assert_close(drawn.mean(0), torch.full((4, 4), 0.4), atol=0.1, rtol=0)
    assert set(drawn.sum(2).unique().tolist()) == {1.0, 2.0}


def test_every_step_and_every_frame_is_split_anew() -> None:
    scan, g = some_scan(), generator()
    drawn = [split(scan, 0.4, g)[1] for _ in range(10)]
    assert len({tuple(d.flatten().tolist()) for d in drawn}) > 5
    assert any(not torch.equal(d[0], d[1]) for d in drawn)


def test_frames_with_few_readouts_are_split_as_far_as_that_goes() -> None:
    scan = lines_scan(random_complex(3, *MATRIX), [[1], [1, 2], [5]])
    for seed in range(30):
        seen, judging = split(scan, 0.4, generator(seed))
        assert seen.any()
        assert judging.any()
        assert torch.equal(seen ^ judging, scan.filled)


def test_too_few_readouts_are_refused() -> None:
    scan = lines_scan(random_complex(2, *MATRIX), [[4, 5], [4, 5, 6]], n_central=2)
    with pytest.raises(BadRequest, match="less than two readouts"):
        split(scan, 0.4, generator())


@pytest.mark.parametrize(("n_lines", "share"), [(4, 0.125), (8, 0.25), (30, 0.4)])
def test_without_a_ratio_it_follows_from_how_many_readouts_there_are(n_lines: int, share: float) -> None:
    scan, g = lines_scan(random_complex(8, 32, 12), [list(range(n_lines + 2))] * 8, n_central=2), generator()
    drawn = torch.stack([split(scan, SplittingConfig().ratio, g)[1][:, 1:] for _ in range(200)]).float()
    assert float(drawn.mean()) == pytest.approx(share, abs=0.02)


def test_the_weighted_loss_knows_that_chance_too() -> None:
    scan, x, g = (
        lines_scan(random_complex(2, 32, 12), [list(range(10))] * 2),
        random_complex(2, 32, 12, seed=9),
        generator(),
    )
    values = torch.stack([ssdu(lambda _: x, scan, g, SplittingConfig(weighted=True)) for _ in range(150)])
    whole = scan.of(scan.filled / scan.occurrence)
    torch.testing.assert_close(values.mean(), whole.misfit(x) * x.numel() / whole.energy, rtol=0.1, atol=0)


@pytest.mark.parametrize("ratio", [1.0, -0.1])
def test_a_ratio_that_is_no_share_is_refused(ratio: float) -> None:
    with pytest.raises(BadRequest, match="ratio"):
        SplittingConfig(ratio=ratio)


def test_the_loss_is_the_relative_misfit_of_one_set_to_the_other() -> None:
    scan = some_scan()
    seen, judging = split(scan, SplittingConfig().ratio, generator(3))

    def network(measured: Measured) -> torch.Tensor:
        torch.testing.assert_close(measured.rhs, scan.of(seen).rhs)
        return 0.5 * measured.rhs

    x = 0.5 * scan.of(seen).rhs
    weights = scan._weights(judging)
    expected = (weights * (scan.operator(x) - scan.kspace).abs().square()).sum() / (
        weights * scan.kspace.abs().square()
    ).sum()
    torch.testing.assert_close(ssdu(network, scan, generator(3)), expected, rtol=1e-4, atol=1e-5)


def test_the_weighted_loss_stands_for_all_of_k_space() -> None:
    scan, g = some_scan(), generator()
    scan.occurrence = torch.rand(4, scan.n_groups, generator=g) + 0.2
    x = random_complex(4, *MATRIX, seed=9)
    config = SplittingConfig(ratio=0.4, weighted=True)
    values = torch.stack([ssdu(lambda measured: x, scan, g, config) for _ in range(150)])
    whole = scan.of(scan.filled / scan.occurrence)
    torch.testing.assert_close(values.mean(), whole.misfit(x) * x.numel() / whole.energy, rtol=0.05, atol=0)
    plain = torch.stack([ssdu(lambda measured: x, scan, g) for _ in range(100)])
    assert abs(float(plain.mean() / values.mean()) - 1) > 0.02


def test_groups_that_count_by_numbers_add_up() -> None:
    scan, x = some_scan(), random_complex(4, *MATRIX, seed=9)
    twice, once = scan.of(2.0 * scan.filled), scan.of()
    torch.testing.assert_close(twice.misfit(x), 2 * once.misfit(x))
    torch.testing.assert_close(twice.gram(x), 2 * once.gram(x))
