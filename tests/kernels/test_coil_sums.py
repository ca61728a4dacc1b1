"""Sums over coil images against their formulas."""

import pytest
import torch

from dainr.kernels.coil_sums import combine
from tests.helper import random_complex

pytestmark = pytest.mark.usefixtures("two_threads")


@pytest.mark.parametrize("n_frames", [1, 3])
@pytest.mark.parametrize("n_coils", [1, 4])
def test_both_sums_are_those_of_the_formula(n_frames: int, n_coils: int) -> None:
    z, maps = random_complex(n_frames, n_coils, 9, 6), random_complex(n_coils, 9, 6, seed=1)
    images, before = random_complex(n_frames, 9, 6, seed=2), random_complex(n_coils, 9, 6, seed=3)
    of_maps = before.clone()
    torch.testing.assert_close(combine(z, maps), (z * maps.conj()).sum(1))
    torch.testing.assert_close(combine(z, maps, images, of_maps), (z * maps.conj()).sum(1))
    torch.testing.assert_close(of_maps, before + (z * images[:, None].conj()).sum(0))


def test_conjugate_views_and_strided_inputs_are_read_right() -> None:
    z, maps = random_complex(2, 3, 8, 5).transpose(2, 3), random_complex(3, 5, 8, seed=1).conj()
    torch.testing.assert_close(combine(z.conj(), maps), (z.conj() * maps.conj()).sum(1))
