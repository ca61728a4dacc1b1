"""Coil maps: (S x)_c = S_c x and its adjoint, sum_c conj(S_c) y_c."""

from jaxtyping import Complex
from torch import Tensor

from dainr.operators.linear import LinearOperator


class CoilOperator(LinearOperator):
    """Image `frame y x` to coil images `frame coil y x`."""

    maps: Tensor

    def __init__(self, maps: Complex[Tensor, "coil y x"]) -> None:
        super().__init__()
        self.register_buffer("maps", maps, persistent=False)

    def _map(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame coil y x"]:
        return x[:, None] * self.maps

    def _map_adjoint(self, y: Complex[Tensor, "frame coil y x"]) -> Complex[Tensor, "frame y x"]:
        return (y * self.maps.conj()).sum(1)
