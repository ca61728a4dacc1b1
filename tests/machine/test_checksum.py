import hashlib
from pathlib import Path

from dainr.machine.checksum import file_sha256


def test_it_is_that_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"kspace" * 100_000)
    assert file_sha256(tmp_path / "scan") == hashlib.sha256(b"kspace" * 100_000).hexdigest()
