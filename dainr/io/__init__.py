"""Scan and cine files: formats.py lists those of scans, `load` reads them."""

from dainr.io.reading import Reading, load, scan_sha256

__all__ = ["Reading", "load", "scan_sha256"]
