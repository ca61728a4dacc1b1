"""The lookup on the CPU: a sparse matrix times a table of few features, one compiled pass.

Entries are shared among the threads, and each row is summed in order: the result is the same from run to run.
"""

import numpy as np
import torch
from numba import prange
from torch import Tensor

from dainr.kernels.compiling import as_array, kernel, share_threads

PARTS = 64  # of about as many entries each, shared among the threads
# where each row begins, the columns and values of its entries, and where each part begins
Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def rows_of(matrix: Tensor) -> Rows:
    """The rows of a sparse matrix in torch's CSR layout."""
    first, columns = (index.numpy().astype(np.int32) for index in (matrix.crow_indices(), matrix.col_indices()))
    limits = np.searchsorted(first, np.linspace(0, first[-1], PARTS + 1)[1:-1])
    return first, columns, matrix.values().numpy(), np.concatenate([[0], limits, [len(first) - 1]])


def product_cpu(rows: Rows, table: Tensor) -> Tensor:
    """The matrix times `entry per_level`."""
    out = torch.empty(len(rows[0]) - 1, table.shape[1])
    share_threads()
    _product(*rows, as_array(table), out.numpy())
    return out


@kernel
def _product(first, columns, values, limits, table, out):  # type: ignore[no-untyped-def]
    n_features = table.shape[1]
    for part in prange(len(limits) - 1):
        for row in range(limits[part], limits[part + 1]):
            for f in range(n_features):
                out[row, f] = 0
            for entry in range(first[row], first[row + 1]):
                value, column = values[entry], columns[entry]
                for f in range(n_features):
                    out[row, f] += value * table[column, f]
