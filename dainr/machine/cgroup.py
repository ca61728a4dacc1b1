"""The limits of the control group that a container or a batch system puts a process in: of processors and of memory.

Version 2: `cpu.max` and `memory.max` of the group and of all above it; version 1: `cpu.cfs_quota_us` over
`cpu.cfs_period_us` and `memory.limit_in_bytes`. https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/proc/self/cgroup")  # lines of number:controllers:path, without controllers in version 2
ROOT = Path("/sys/fs/cgroup")
NO_LIMIT = 2**60  # bytes: version 1 writes a limit that nobody reaches


def cpu_limit() -> float | None:
    """How many processors' time the group may use, or None."""
    limits = []
    for folder in _folders("cpu"):
        quota, _, period = _words(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):  # not "max", not -1
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit() -> int | None:
    """How many bytes of memory the group may use, or None."""
    names = ("memory.max", "memory.limit_in_bytes")
    words = [_words(folder / name) for folder in _folders("memory") for name in names]
    limits = [int(word) for word in words if word.isdigit()]
    return min((limit for limit in limits if limit < NO_LIMIT), default=None)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of this process's groups and of those above: version 2's, and version 1's of that controller.

    A container sees its own group as the root, whatever path it is told.
    """
    for line in _words(GROUPS).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        roots = [ROOT / controllers, ROOT / controller] if controller in controllers.split(",") else []
        for root in roots if controllers else [ROOT, ROOT / "unified"]:
            inner = PurePosixPath("/", path)
            for group in (inner, *inner.parents):
                yield root / group.relative_to("/")


def _words(path: Path) -> str:
    """What a file says; nothing where there is none."""
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
