"""Scan and cine files: formats.py lists those of scans, `load` reads them."""

from dainr.io.reading import Reading, load

__all__ = ["Reading", "load"]
