"""A machine without a registry: wheels that are pinned and listed, and a checkout that is used as it is."""

import zipfile
from pathlib import Path

import pytest

from benchmarks.gpu import fetch, offline


def test_the_list_of_wheels_is_that_of_the_constraints() -> None:
    lines = [line.split() for line in fetch.LIST.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    listed = {f"{name.lower().replace('_', '-')}=={version}" for name, version, _ in lines}
    assert listed == {line.lower().replace("_", "-") for line in fetch.pinned()}
    assert 10e6 < sum(int(size) for _, _, size in lines) < 50e6


def test_only_wheels_for_that_python_are_fetched(tmp_path: Path) -> None:
    command = fetch.download(tmp_path, "3.12")
    assert command[command.index("--python-version") + 1] == "3.12"
    assert {"--only-binary=:all:", "--no-deps"} <= {*command}


def test_wheels_are_listed_with_their_size(tmp_path: Path) -> None:
    (tmp_path / "b_c-2.0-py3-none-any.whl").write_bytes(b"12345")
    (tmp_path / "A-1.0-py3-none-any.whl").write_bytes(b"123")
    assert fetch.listed(tmp_path.glob("*")) == ["A 1.0 3", "b_c 2.0 5", "# 2 wheels, 0.0 MB"]


def test_folders_are_linked_only_meanwhile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("dainr/pretrained", "cli", "pretrained"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(offline, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="the check"), offline.linked():
        assert (tmp_path / "dainr" / "cli").resolve() == tmp_path / "cli"
        raise ValueError("the check")
    assert [path.name for path in (tmp_path / "dainr").iterdir()] == ["pretrained"]


def test_what_pip_cannot_install_is_unpacked(tmp_path: Path) -> None:
    wheel = tmp_path / "not-a-wheel.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("package/__init__.py", "")
    offline.unpack([wheel], tmp_path / "site")
    assert (tmp_path / "site" / "package" / "__init__.py").is_file()


def test_an_empty_folder_of_wheels_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["offline.py", "--wheels", str(tmp_path)])
    with pytest.raises(SystemExit, match="there are no wheels in it"):
        offline.main()
