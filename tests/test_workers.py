"""What the tests themselves rely on: shapes are checked at run time, and workers keep to one thread."""

import os

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from dainr.prepare.density import even_density


def test_a_wrong_shape_is_an_error() -> None:
    with pytest.raises(TypeCheckError):
        even_density(np.zeros(3, np.float32))


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="the cores are not shared")
def test_a_worker_has_one_thread(two_threads: None) -> None:
    assert torch.get_num_threads() == 2
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
