"""Limits of control groups: of both versions, of the group and of those above it, and none where none is set."""

import os
from pathlib import Path

import pytest
import torch

from dainr.machine import cgroup, device, threads

CPU2, QUOTA, PERIOD = "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"
MEMORY2, MEMORY1 = "memory.max", "memory.limit_in_bytes"


def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, files: dict[str, str]) -> None:
    """A system that tells this of the process's groups, with these files."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "self").write_text(told + "\n")
    monkeypatch.setattr(cgroup, "GROUPS", tmp_path / "self")
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)


@pytest.mark.parametrize(
    ("told", "files", "cpus", "memory"),
    [
        ("0::/a/b", {f"a/b/{CPU2}": "150000 100000", f"a/b/{MEMORY2}": "4096"}, 1.5, 4096),
        ("0::/a/b", {f"a/{CPU2}": "50000 100000", f"a/b/{CPU2}": "max 100000", f"a/{MEMORY2}": "512"}, 0.5, 512),
        ("0::/", {CPU2: "400000 100000", MEMORY2: "max"}, 4.0, None),
        ("0::/", {CPU2: "max 100000"}, None, None),
        ("3:cpu,cpuacct:/d/x", {f"cpu,cpuacct/d/x/{QUOTA}": "200000", f"cpu,cpuacct/d/x/{PERIOD}": "100000"}, 2, None),
        ("3:cpu:/docker/x\n4:memory:/docker/x", {f"cpu/{QUOTA}": "300000", f"cpu/{PERIOD}": "100000"}, 3, None),
        ("4:memory:/a", {f"memory/a/{MEMORY1}": "8192", f"memory/{MEMORY1}": str(2**63 - 4096)}, None, 8192),
        ("3:cpu:/", {f"cpu/{QUOTA}": "-1", f"cpu/{PERIOD}": "100000"}, None, None),
        ("0::/../../elsewhere", {}, None, None),
        ("nonsense", {CPU2: "what", MEMORY2: ""}, None, None),
    ],
)
def test_the_narrowest_limit_counts(
    told: str,
    files: dict[str, str],
    cpus: float | None,
    memory: int | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    groups(monkeypatch, tmp_path, told, files)
    assert cgroup.cpu_limit() == cpus
    assert cgroup.memory_limit() == memory


@pytest.mark.parametrize(("quota", "cores"), [("150000", 2), ("20000", 1), ("1600000", 8), ("max", 8)])
def test_threads_keep_to_the_limit(quota: str, cores: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    groups(monkeypatch, tmp_path, "0::/", {CPU2: f"{quota} 100000"})
    monkeypatch.setattr(threads, "_bound_cores", lambda: 8)
    for name in threads.THREADS:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    threads.limit_threads()
    assert threads.usable_cores() == cores
    assert os.environ.get("OMP_NUM_THREADS") == (str(cores) if cores < 8 else None)
    assert os.environ["NUMBA_NUM_THREADS"] == "3"


def test_memory_is_what_the_group_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    groups(monkeypatch, tmp_path, "0::/", {MEMORY2: str(2**20)})
    assert device.memory_bytes(torch.device("cpu")) == 2**20
