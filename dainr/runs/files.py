"""The files of a run's folder: what they are called, and which of those that are there may be replaced."""

import re
from pathlib import Path

from dainr.errors import BadRequest, BadScan
from dainr.runs.owned import OwnedFolder
from dainr.runs.stored import read_config_file

CONFIG, RECORD, LOG, STATE = "config.toml", "run.json", "log.jsonl", "state.safetensors"
FEATURES, CINE, REPORT = "features.safetensors", "cine.h5", "report.html"
SLICES = "state.*.safetensors"  # those of slices that are done, as a pattern
FILES = (CONFIG, RECORD, LOG, STATE, FEATURES, CINE, REPORT)
# what runs without a marker left: files of these names, and half of such a file, under a name of safetensors' too
UNMARKED = re.compile(rf"({'|'.join(map(re.escape, FILES))}|state\.\d{{3,}}\.safetensors)")
HALF_WRITTEN = re.compile(rf"\.{UNMARKED.pattern}\.part|\.tmp\w{{6}}")


class RunFiles(OwnedFolder):
    """A folder for the files of one run."""

    @property
    def is_run(self) -> bool:
        """Whether the folder holds a run."""
        return self.file(CONFIG).is_file()

    def check_free(self, force: bool) -> None:
        """Refuse a folder that holds anything, unless it is a run that may be replaced. Raises BadRequest."""
        if self.path.exists() and not self.path.is_dir():
            raise BadRequest(str(self.path), "it is a file", "name a folder for the run")
        if not self.path.is_dir() or (not self.others() and not self.is_marked):
            return
        foreign = self._foreign()
        if foreign:
            raise BadRequest(
                str(self.path),
                f"it holds {foreign[0]}{' and more' if len(foreign) > 1 else ''}, which no run wrote",
                "name another folder",
            )
        if self.is_marked and CONFIG not in self.owned() and not self.is_vacant:
            raise BadRequest(str(self.path), "it holds a training, and no run", "name another folder")
        if not force and not self.is_vacant:
            raise BadRequest(
                str(self.path), "it holds a run already", "name another folder, --resume it, or --force to replace it"
            )

    def _foreign(self) -> list[str]:
        """What keeps a run out of the folder: beside a marked run the files in its way, else all that no run writes."""
        others = self.others()
        if self.is_marked:
            return [name for name in others if UNMARKED.fullmatch(name)]
        if not self._is_unmarked_run():
            return others
        return [name for name in others if not UNMARKED.fullmatch(name) and not HALF_WRITTEN.fullmatch(name)]

    def _is_unmarked_run(self) -> bool:
        """Whether the config is that of a run made before runs had markers."""
        try:
            read_config_file(self.file(CONFIG))
        except BadScan:
            return False
        return True

    def adopt(self) -> None:
        """Mark a run made before runs had markers, and take away what it had half written."""
        if self.is_marked or not self._is_unmarked_run():
            return
        names = [path.name for path in self.path.iterdir()]
        for name in names:
            if HALF_WRITTEN.fullmatch(name) and self.file(name).is_file():
                self.file(name).unlink()
        self.claim([*FILES, *(name for name in names if UNMARKED.fullmatch(name))], there_too=True)

    def mark_anew(self) -> None:
        """Write the marker of a run that has lost it: whatever has the name of a file of a run is on its list."""
        self._mark({*FILES, *(path.name for path in self.path.iterdir() if UNMARKED.fullmatch(path.name))})

    def check_apart(self, scan: Path) -> None:
        """Refuse a scan that a new run in this folder would overwrite. Raises BadRequest."""
        if scan.resolve() in {self.file(name).resolve() for name in FILES}:
            raise BadRequest(str(scan), f"a run in {self.path} would overwrite it", "name another folder for the run")
