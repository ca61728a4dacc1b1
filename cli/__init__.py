"""The command line: one command a file, thin. The only place that prints and exits."""

import os

# Before anything imports torch: see dainr/__init__.py. Here too, because --help must not wait for the library.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from .app import app, main

__all__ = ["app", "main"]
