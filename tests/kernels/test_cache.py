"""Compiled code where neither the program's folder nor a home can be written: kept in TMPDIR, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dainr.kernels import cache

# As in a container: numba's places beside the program and in the home are not writable.
PROGRAM = """
from numba.core import caching
caching.CacheImpl._locator_classes = [caching.UserProvidedCacheLocator]
from dainr.kernels import compiling, huber_cpu
print(compiling.numba.config.CACHE_DIR)
"""


@pytest.mark.parametrize("usable", [True, False])
def test_without_a_home_it_is_kept_in_tmpdir_or_nowhere(usable: bool, tmp_path: Path) -> None:
    folder = tmp_path / f"{cache.FOLDER}-{os.getuid()}"
    if not usable:
        folder.write_text("another's")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "NUMBA_CACHE_DIR": ""}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ([str(folder)] if usable else [])


def test_a_user_without_a_home_has_none_in_the_folder_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.numba.config, "CACHE_DIR", "")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what Python makes of it then
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(cache, "_numba_finds_a_place", lambda: bool(cache.numba.config.CACHE_DIR))
    assert cache.is_kept()
    assert str(tmp_path / f"{cache.FOLDER}-{os.getuid()}") == cache.numba.config.CACHE_DIR


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = cache._own_folder()
    assert folder is not None and folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert cache._own_folder() is None
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert cache._own_folder() is None


def test_where_numba_finds_a_place_it_is_left_alone() -> None:
    before = cache.numba.config.CACHE_DIR
    assert cache.is_kept()
    assert before == cache.numba.config.CACHE_DIR


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home that nobody can write, and a folder for temporary files."""
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("TRITON_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    return tmp_path


def test_without_a_home_triton_keeps_its_kernels_in_tmpdir(no_home: Path) -> None:
    cache.keep_triton()
    assert os.environ.pop("TRITON_CACHE_DIR") == str(no_home / f"{cache.FOLDER}-{os.getuid()}")


def test_where_nothing_is_kept_each_process_has_a_place_of_its_own(no_home: Path) -> None:
    (no_home / f"{cache.FOLDER}-{os.getuid()}").write_text("another's")
    cache.keep_triton()
    assert Path(os.environ.pop("TRITON_CACHE_DIR")).is_dir()


def test_triton_keeps_its_place_where_it_can_be_written(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_HOME", str(no_home / "other"))
    cache.keep_triton()
    assert "TRITON_CACHE_DIR" not in os.environ
    monkeypatch.setenv("TRITON_CACHE_DIR", "mine")
    cache.keep_triton()
    assert os.environ["TRITON_CACHE_DIR"] == "mine"
