"""What every linear operator inherits, on a dense matrix."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dainr.operators.linear import LinearOperator
from tests.helper import assert_adjoint, assert_gradient_is_adjoint, random_complex
from tests.operators import assert_linear_operator


class Dense(LinearOperator):
    """A matrix; computed in numpy, where autograd cannot follow."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = matrix

    def _map(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.matrix.numpy() @ x.resolve_conj().detach().numpy())

    def _map_adjoint(self, y: Tensor) -> Tensor:
        return torch.from_numpy(self.matrix.mH.resolve_conj().numpy() @ y.resolve_conj().detach().numpy())


@pytest.fixture
def dense() -> Dense:
    return Dense(random_complex(5, 3))


def test_forward_and_adjoint_multiply_by_the_matrix_and_its_conjugate_transpose(dense: Dense) -> None:
    x, y = random_complex(3, seed=1), random_complex(5, seed=2)
    torch.testing.assert_close(dense(x), dense.matrix @ x)
    torch.testing.assert_close(dense.adjoint(y), dense.matrix.mH @ y)


def test_backward_is_the_adjoint_though_autograd_cannot_see_inside(dense: Dense) -> None:
    assert_linear_operator(dense, random_complex(3, seed=1), random_complex(5, seed=2))


def test_adjoint_of_the_adjoint_is_the_operator_itself(dense: Dense) -> None:
    assert dense.H.H is dense
    y = random_complex(5, seed=2)
    torch.testing.assert_close(dense.H(y), dense.adjoint(y))
    assert_adjoint(dense.H, y, random_complex(3))


def test_composition_applies_the_right_operator_first(dense: Dense) -> None:
    second = Dense(random_complex(4, 5, seed=3))
    both, x = second @ dense, random_complex(3, seed=1)
    torch.testing.assert_close(both(x), second.matrix @ (dense.matrix @ x))
    assert_linear_operator(both, x, random_complex(4, seed=2))


def test_adjoint_of_a_composition_reverses_the_order(dense: Dense) -> None:
    second = Dense(random_complex(4, 5, seed=3))
    y = random_complex(4, seed=2)
    torch.testing.assert_close((second @ dense).H(y), (dense.H @ second.H)(y))


def test_gram_is_self_adjoint_and_never_negative(dense: Dense) -> None:
    x, y = random_complex(3, seed=1), random_complex(3, seed=2)
    torch.testing.assert_close(dense.gram(x), dense.matrix.mH @ dense.matrix @ x)
    torch.testing.assert_close(dense.gram.adjoint(y), dense.gram(y))
    assert_gradient_is_adjoint(dense.gram, x, y)
    assert torch.vdot(x, dense.gram(x)).real > 0


@given(a=st.complex_numbers(max_magnitude=10), b=st.complex_numbers(max_magnitude=10), seed=st.integers(0, 100))
def test_forward_is_linear(a: complex, b: complex, seed: int) -> None:
    operator = Dense(random_complex(5, 3))
    x, z = random_complex(3, seed=seed), random_complex(3, seed=seed + 1)
    torch.testing.assert_close(operator(a * x + b * z), a * operator(x) + b * operator(z), rtol=1e-4, atol=1e-4)


def test_an_operator_without_maps_names_itself() -> None:
    class Unfinished(LinearOperator):
        pass

    with pytest.raises(TypeError, match="Unfinished defines no forward map"):
        Unfinished()(random_complex(2))
    with pytest.raises(TypeError, match="Unfinished defines no adjoint"):
        Unfinished().adjoint(random_complex(2))
