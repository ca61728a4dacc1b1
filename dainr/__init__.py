"""dainr: one undersampled dynamic MRI scan in, a cine volume out, by fitting a neural field to that scan alone."""

import os

from dainr.allocator import keep_freed_memory

# Spinning threads make two-core machines crawl: those of OpenMP wait, and OpenBLAS, whose threads cannot, gets one. A
# value the user set wins. Must precede the first import of torch and numpy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
keep_freed_memory()

__version__ = "0.1.0"
