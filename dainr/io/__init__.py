"""Scan and cine files: formats.py lists those of scans, `load` reads them."""

from dainr.io.scans.options import ReadOptions
from dainr.io.scans.reading import Reading, load, load_mask, scan_sha256

__all__ = ["ReadOptions", "Reading", "load", "load_mask", "scan_sha256"]
