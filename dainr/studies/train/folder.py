"""The work folder of a training, beside the weights it makes: what a stopped training goes on with.

training.toml    what was asked, everything resolved      index.json    the scans, and those that were skipped
state.safetensors  the network, the best so far, the optimiser, how far it is
scan_*.safetensors  the prepared scans, while the training lasts
dainr.json       the marker: which of the files are ours; no other is replaced or deleted
"""

import json
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dainr.errors import BadRequest, BadScan
from dainr.fit.state import Checkpoint, FitState, Step, Validation
from dainr.runs.owned import OwnedFolder
from dainr.settings.build import build_config, config_dict
from dainr.studies.train.config import TrainConfig, config_kind
from dainr.studies.train.index import PREFIX, Index, index_of

CONFIG, INDEX, STATE = "training.toml", "index.json", "state.safetensors"
ANEW = "start the training anew with --force"


@dataclass(frozen=True)
class Request:
    """What was asked, beside the settings."""

    method: str
    preset: str
    folder: str  # of the scans
    binning: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)


class TrainingFolder(OwnedFolder):
    """The work folder of one training; as an observer, `checkpoint` writes the state every few seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.checkpoint_every_s = 0.0
        self._saved_at = time.monotonic()

    @property
    def has_begun(self) -> bool:
        """Whether a training is in it."""
        return self.is_marked and self.file(CONFIG).is_file()

    def check_free(self, force: bool) -> None:
        """Refuse a folder that holds anything, unless it is a training that may be replaced. Raises BadRequest."""
        if self.path.exists() and not self.path.is_dir():
            raise BadRequest(str(self.path), "it is a file", "choose another name for the weights")
        if not self.path.is_dir() or not any(self.path.iterdir()):
            return
        if self.has_begun and not force:
            raise BadRequest(
                str(self.path), "it holds a training", "go on with it by --resume, or --force to replace it"
            )
        if self.is_marked and CONFIG not in self.owned() and not self.is_vacant:
            raise BadRequest(str(self.path), "it holds a run", "choose another name for the weights")
        if not self.is_marked and self.others():
            raise BadRequest(
                str(self.path), f"it holds {self.others()[0]}, which no training wrote", "choose another name"
            )

    def begin(self, request: Request, config: TrainConfig) -> None:
        """Make the folder ready for a new training; an old one in it is removed."""
        self.tidy()
        if self.is_marked:
            self.remove(sorted(self.owned() - {CONFIG}))
        self.claim([CONFIG, INDEX, STATE])
        self.write_request(request, config)

    def write_request(self, request: Request, config: TrainConfig) -> None:
        """Write what was asked."""
        try:
            text = tomli_w.dumps({"training": asdict(request), "config": config_dict(config)})
            self.write_text(CONFIG, text)
        except UnicodeEncodeError as error:
            raise BadRequest("the name of a folder", "it is no UTF-8, and could not be kept", "rename it") from error

    def read_request(self) -> tuple[Request, TrainConfig]:
        """What was asked. Raises BadScan where there is no training, or its file is damaged."""
        if not self.has_begun:
            raise BadScan(str(self.path), "there is no training to go on with", "leave out --resume")
        try:
            stored = tomllib.loads(self.file(CONFIG).read_text("utf-8"))
            request = Request(**stored["training"])
            return request, build_config(config_kind(request.method), stored["config"])
        except (OSError, ValueError, LookupError, TypeError, BadRequest) as error:
            raise self._is_damaged(CONFIG, error) from error

    def write_index(self, index: Index) -> None:
        """Write the index, once all scans are prepared."""
        self.write_text(INDEX, json.dumps(index.as_dict(), indent=1) + "\n")

    def read_index(self) -> Index | None:
        """The index; None where it was not written yet. Raises BadScan where it is damaged."""
        if not self.file(INDEX).is_file():
            return None
        try:
            return index_of(json.loads(self.file(INDEX).read_text("utf-8")))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._is_damaged(INDEX, error) from error

    def has_scans(self, index: Index) -> bool:
        """Whether all prepared scans are there."""
        return all(self.file(sample.file).is_file() for sample in index.samples)

    @property
    def has_prepared_scans(self) -> bool:
        """Whether one of them is there: they go once the training has written what it came to."""
        return any(self.file(name).is_file() for name in self.owned() if name.startswith(PREFIX))

    def checkpoint(self, step: Step) -> None:
        """Observer: the state every few seconds and in the end."""
        if step.stopped or time.monotonic() - self._saved_at > self.checkpoint_every_s:
            self.save(step.checkpoint())

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the state."""
        with self.writing(STATE) as part:
            tensors = {name: value.cpu().contiguous() for name, value in checkpoint.tensors.items()}
            part.touch()
            mode = part.stat().st_mode
            save_file(tensors, part, {"state": json.dumps(asdict(checkpoint.state))})
            part.chmod(mode)  # the library writes files that only their owner may read
        self._saved_at = time.monotonic()

    def load(self) -> Checkpoint | None:
        """The state; None before the first was written. Raises BadScan where it is damaged."""
        if not self.file(STATE).is_file():
            return None
        try:
            with safe_open(self.file(STATE), "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                stored = json.loads((file.metadata() or {})["state"])
            validations = [Validation(**one) for one in stored.pop("validations")]
            return Checkpoint(tensors, FitState(**stored, validations=validations))
        except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
            raise self._is_damaged(STATE, error) from error

    def discard_scans(self) -> None:
        """Take the prepared scans away: a training that has ended makes them again if it is to go on for longer."""
        self.remove(name for name in sorted(self.owned()) if name.startswith(PREFIX))

    def _is_damaged(self, name: str, error: Exception) -> BadScan:
        return BadScan(str(self.file(name)), f"it is damaged ({' '.join(str(error).split())})", ANEW)
