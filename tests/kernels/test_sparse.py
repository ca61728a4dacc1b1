"""Sparse matrices in CSR layout: products, and the transpose that is stored beside them."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.kernels.compiling import plain_torch
from dainr.kernels.sparse import csr_matrix, csr_product, transposed

sizes = st.integers(1, 9)


@settings(deadline=None)  # the first call loads compiled code
@given(rows=sizes, entries=sizes, columns=sizes, parts=sizes, seed=st.integers(0, 99))
def test_products_are_those_of_the_dense_matrix(rows: int, entries: int, columns: int, parts: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    place = torch.randint(columns, (rows, entries), generator=random)  # the same column twice counts twice
    values = torch.randn(rows, entries, generator=random)
    dense = torch.zeros(rows, columns).scatter_add_(1, place, values)
    matrix = csr_matrix(place, values, columns)
    x, y = torch.randn(columns, parts, generator=random), torch.randn(rows, parts, generator=random)
    for pair in ((csr_product(matrix), csr_product(transposed(matrix))), _plain(matrix)):
        torch.testing.assert_close(pair[0](x), dense @ x)
        torch.testing.assert_close(pair[1](y), dense.T @ y)


def _plain(matrix: torch.Tensor) -> tuple:
    with plain_torch():
        return csr_product(matrix), csr_product(transposed(matrix))


def test_the_entries_of_a_transposed_row_keep_their_order() -> None:
    matrix = csr_matrix(torch.tensor([[1, 0], [1, 1]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 3)
    flipped = transposed(matrix)
    assert flipped.crow_indices().tolist() == [0, 1, 4, 4]
    assert flipped.col_indices().tolist() == [0, 0, 1, 1]
    assert flipped.values().tolist() == [2.0, 1.0, 3.0, 4.0]
