"""Checksums of files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Sequence[Path]) -> str:
    """SHA-256 of several files together: of their checksums, one after another."""
    return hashlib.sha256("".join(map(file_sha256, paths)).encode()).hexdigest()
