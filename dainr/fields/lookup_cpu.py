"""The lookup on the CPU: a sparse matrix times a table of few features, one compiled pass.

Entries are shared among the threads, and each row is summed in order: the result is the same from run to run.
"""

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from dainr.kernels import as_array, kernel, share_threads

PARTS_A_THREAD = 4  # of about as many entries each
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # where each row begins, and the columns and values of its entries


def rows_of(matrix: Tensor) -> Rows:
    """The rows of a sparse matrix in torch's CSR layout."""
    first, columns = (index.numpy().astype(np.int32) for index in (matrix.crow_indices(), matrix.col_indices()))
    return first, columns, matrix.values().numpy()


def product_cpu(rows: Rows, table: Tensor) -> Tensor:
    """The matrix times `entry per_level`."""
    out = torch.empty(len(rows[0]) - 1, table.shape[1])
    share_threads()
    parts = numba.get_num_threads() * PARTS_A_THREAD
    limits = np.searchsorted(rows[0], np.linspace(0, rows[0][-1], parts + 1)[1:-1])
    _product(*rows, as_array(table), np.concatenate([[0], limits, [len(out)]]), out.numpy())
    return out


@kernel
def _product(first, columns, values, table, limits, out):  # type: ignore[no-untyped-def]
    n_features = table.shape[1]
    for part in prange(len(limits) - 1):
        for row in range(limits[part], limits[part + 1]):
            for f in range(n_features):
                out[row, f] = 0
            for entry in range(first[row], first[row + 1]):
                value, column = values[entry], columns[entry]
                for f in range(n_features):
                    out[row, f] += value * table[column, f]
