"""Mending a finished run whose files were damaged: what can be made of the others is made anew, healthy ones stay."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dainr.assess.verdict import judge
from dainr.errors import BadScan, DainrError
from dainr.methods.recon import Recon
from dainr.report import build_report
from dainr.report.page import is_whole
from dainr.runs.folder import RECORD, REPORT, RunFolder
from dainr.runs.owned import MARKER
from dainr.runs.run import load_run, read_run_cine
from dainr.runs.stored import read_text, verdict_fault


@dataclass(frozen=True)
class Repaired:
    """What was mended, and what could not be, a sentence each."""

    mended: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def attempt(self, act: Callable[[], Any]) -> Any:
        """What a step gives; None where it finds something that cannot be mended here."""
        try:
            return act()
        except DainrError as error:
            if str(error) not in self.broken:
                self.broken.append(str(error))
            return None


def repair(path: Path) -> Repaired:
    """Mend the run in a folder: its marker, the verdict in its record, and its report.

    Raises BadScan where there is no run or its config is damaged, for everything else goes by that, and where it has
    not ended.
    """
    folder, found = RunFolder(path), Repaired()
    folder.read_config()
    found.attempt(lambda: _marker(folder, found))
    record = found.attempt(lambda: _record(folder, found))
    if record is None:
        for look in (lambda: read_run_cine(folder), folder.load_state, folder.load_features):
            found.attempt(look)
    else:
        recon = found.attempt(lambda: load_run(path))
        if recon is not None:
            found.attempt(lambda: _report(folder, recon, found))
    return found


def _marker(folder: RunFolder, found: Repaired) -> None:
    try:
        folder.owned()
        marked = folder.is_marked
    except BadScan as error:
        if "later version" in error.why:
            raise
        marked = False
    if not marked:
        folder.mark_anew()
        found.mended.append(f"{folder.file(MARKER)}: the list of the run's files was written anew.")
    folder.tidy()


def _record(folder: RunFolder, found: Repaired) -> dict[str, Any]:
    record = folder.read_record(verdict=False)
    if record["status"] != "done":
        raise BadScan(str(folder.path), f"the run in it is {record['status']}, not done", "finish it with fit --resume")
    if verdict_fault(record):
        record["verdict"] = [{"level": f.level, "text": f.text} for f in judge(record)]
        folder.write_record(record)
        found.mended.append(f"{folder.file(RECORD)}: the verdict was judged anew.")
    return record


def _report(folder: RunFolder, recon: Recon, found: Repaired) -> None:
    path = folder.file(REPORT)
    try:
        if is_whole(read_text(path, "")):
            return
    except BadScan:
        pass
    folder.write_text(REPORT, build_report(recon, folder.read_config(), recon.record))
    found.mended.append(f"{path}: it was made anew.")
