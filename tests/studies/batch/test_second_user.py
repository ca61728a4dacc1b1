"""Another user of the machine, beside a batch at work: what is tried as that user is refused by the system.

Only root may be another user, so that elsewhere these tests are skipped.
"""

import ctypes
import errno
import os
import pickle
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dainr.studies.batch import engine, forking
from dainr.studies.batch.cases import Case
from dainr.studies.batch.folder import fit_folder
from dainr.studies.batch.work import Job, Outcome

pytestmark = pytest.mark.skipif(
    not forking.CAN_FORK or os.getuid() != 0, reason="only root, on Linux, can be another user"
)
NOBODY = 65534
PTRACE_ATTACH = 16


def as_another(act: Callable[[], Any]) -> Any:
    """What comes of something that another user does: its result, or the error."""
    answers, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        found: Any = None
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            found = act()
        except OSError as error:
            found = error
        finally:
            os.write(theirs, pickle.dumps(found))
            os._exit(0)
    os.close(theirs)
    os.waitpid(process, 0)
    with os.fdopen(answers, "rb") as pipe:
        return pickle.loads(pipe.read())


def attach(process: int) -> int:
    """The number of the error, or 0."""
    system = ctypes.CDLL(None, use_errno=True)
    return ctypes.get_errno() if system.ptrace(PTRACE_ATTACH, process, 0, 0) else 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that all may look into, as those of users are by default; pytest's are closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    before = os.umask(0o022)
    yield folder
    os.umask(before)
    shutil.rmtree(folder)


def test_another_user_neither_writes_into_a_batch_nor_touches_its_processes(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    out = open_folder / "out"

    def fit_case(job: Job, *_: object) -> Outcome:
        """While it is at work."""
        (out / "a").mkdir()
        (out / "a" / "cine.h5").touch()
        forker = forking.Forker(dict(os.environ))
        process = forker._process.pid
        told["listens"] = [c for c in psutil.Process(process).net_connections() if c.status == psutil.CONN_LISTEN]
        told["attach"] = as_another(lambda: attach(process))
        told["stop"] = as_another(lambda: os.kill(process, signal.SIGSTOP))
        told["look"] = as_another(lambda: Path(f"/proc/{process}/environ").read_bytes())
        told["files"] = as_another(lambda: list(Path(f"/proc/{process}/fd").iterdir()))
        for path in (out / ".lock", out / ".batch.json", out / "a" / "cine.h5"):
            told[f"write {path.name}"] = as_another(lambda p=path: p.open("a").close())
            told[f"delete {path.name}"] = as_another(lambda p=path: p.unlink())
        told["make"] = as_another(lambda: (out / "a" / "new").touch())
        forker.close()
        return Outcome("a", "", {}, "failed", "nobody fits", 1)

    monkeypatch.setattr(engine, "fit_case", fit_case)
    (open_folder / "scan.h5").touch()
    job = Job(Case("a", open_folder / "scan.h5"), out, (), (), 0.0)
    fit_folder([job], out, lambda _: engine.Workers(1), lambda *_: None)
    assert (told.pop("listens"), told.pop("attach")) == ([], errno.EPERM)
    assert len(told) == 10 and all(isinstance(one, PermissionError) for one in told.values()), told
