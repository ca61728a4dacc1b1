"""Products of a constant sparse matrix with a dense one of few columns, row by row."""

import warnings
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dainr.kernels.compiling import chosen
from dainr.kernels.sparse_cpu import product_cpu, rows_of

Product = Callable[[Tensor], Tensor]  # of the matrix with `column part`


def csr_matrix(columns: Int[Tensor, "row entry"], values: Float[Tensor, "row entry"], n_columns: int) -> Tensor:
    """The matrix with so many entries in every row, in torch's CSR layout."""
    n_rows, n_entries = columns.shape
    size = torch.int32 if max(columns.numel(), n_columns) < 2**31 else torch.int64
    first = torch.arange(n_rows + 1, device=columns.device) * n_entries
    return _csr(first.to(size), columns.reshape(-1).to(size), values.reshape(-1), (n_rows, n_columns))


def transposed(matrix: Tensor) -> Tensor:
    """The transpose in the same layout; the entries of a row stay in the order of the columns."""
    first, columns, values = matrix.crow_indices(), matrix.col_indices(), matrix.values()
    n_rows, n_columns = matrix.shape
    rows = torch.repeat_interleave(
        torch.arange(n_rows, device=first.device, dtype=first.dtype), first.diff(), output_size=len(columns)
    )
    columns, order = torch.sort(columns, stable=True)
    begins = torch.searchsorted(columns, torch.arange(n_columns + 1, device=first.device, dtype=columns.dtype))
    return _csr(begins.to(first.dtype), rows[order], values[order], (n_columns, n_rows))


def csr_product(matrix: Tensor) -> Product:
    """The product with a matrix in CSR layout, by the pass of its device."""
    return chosen(matrix.device, _plain, cpu=_compiled, cuda=_triton)(matrix)


def _csr(first: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its CSR tensors a beta feature
        return torch.sparse_csr_tensor(first, columns, values, size, check_invariants=False)


def _plain(matrix: Tensor) -> Product:
    return partial(torch.matmul, matrix)


def _compiled(matrix: Tensor) -> Product:
    return partial(product_cpu, rows_of(matrix))


def _triton(matrix: Tensor) -> Product:
    if matrix.dtype != torch.float32:
        return _plain(matrix)
    from dainr.kernels.sparse_cuda import product_of

    return product_of(matrix.crow_indices(), matrix.col_indices(), matrix.values())
