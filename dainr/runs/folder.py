"""The folder of a run: what was asked, what happened, the state to resume from, and the result.

    config.toml         everything resolved        run.json              versions, input, timings, verdict
    log.jsonl           a line per logged step     state.safetensors     the fitted fields; resumable
    cine.h5             the reconstruction         report.html           the report
    features.safetensors  feature maps, where the method uses them: constant, so kept out of the state
    state.000.safetensors ...  while the run lasts, the slices that are fitted: written once, and out of memory
    dainr.json          the marker: which of the files are ours; no other is replaced or deleted

Every file is replaced whole, so that a run killed at any moment leaves a folder that resumes.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import tomli_w
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dainr.errors import BadRequest, BadScan, DainrError, Diverged, Interrupted, NoRoom, OutOfMemory
from dainr.fit.state import Checkpoint, FitState, RunState, Step, Validation
from dainr.machine.disk import room_for
from dainr.methods import get_method
from dainr.runs import stored
from dainr.runs.files import CINE, CONFIG, FEATURES, FILES, LOG, RECORD, REPORT, SLICES, STATE, RunFiles
from dainr.settings.build import build_config, with_new_names

__all__ = ["CINE", "CONFIG", "FEATURES", "FILES", "LOG", "RECORD", "REPORT", "SLICES", "STATE", "RunFolder"]


class RunFolder(RunFiles):
    """One run's folder. As an observer, `log` writes the log and `checkpoint` the state."""

    def __init__(self, path: Path, checkpoint_every_s: float = 0.0) -> None:
        super().__init__(path)
        self.checkpoint_every_s = checkpoint_every_s
        self._saved_at = time.monotonic()
        self._run_id: str | None = None  # once it was read

    @property
    def is_complete(self) -> bool:
        """Whether the run in it has ended well, by its record."""
        try:
            return self.is_run and self.read_record()["status"] == "done"
        except BadScan:
            return False

    @contextmanager
    def beginning(
        self, config: dict[str, Any], record: dict[str, Any], resume: bool
    ) -> Iterator[Callable[[Step | None], None]]:
        """A run: begun at once, or where it replaces another with its first step; the observer given sees to that.

        A scan or request that turns out bad before leaves no folder, and a run that was to be replaced as it was. An
        interrupted or diverged run is recorded as such, and one that memory ran out for once it has a state.
        """
        replaces, begun = self.is_run and not resume, False

        def begin(_: Step | None = None) -> None:
            nonlocal begun
            if not begun:
                if not resume:
                    self.start(config)
                self.write_record(record)
            begun = True

        if not replaces:
            begin()
        try:
            yield begin
        except DainrError as error:
            goes_on = (
                isinstance(error, OutOfMemory | NoRoom) and begun and (self.file(STATE).is_file() or self._slices())
            )
            if goes_on or isinstance(error, Interrupted | Diverged):
                with suppress(NoRoom):  # then it is called running, and goes on all the same
                    begin()
                    self.write_record(record | {"status": error.status, "why": str(error)})
            elif not replaces and not resume:
                self.discard(last=[CONFIG])
            raise
        begin()

    def start(self, config: dict[str, Any]) -> None:
        """Make the folder ready for a new run; an old run in it is removed.

        Killed on the way, it holds the old run, which can be resumed, or the new one: the state goes before its config.
        """
        asked = tomli_w.dumps(config)
        try:
            asked.encode("utf-8")
            self.path.mkdir(parents=True, exist_ok=True)
        except UnicodeEncodeError as error:
            raise BadRequest(
                "the name of a file", "it is no UTF-8, and the run could not keep it", "rename it"
            ) from error
        except OSError as error:
            raise BadRequest(str(self.path), f"it cannot be made ({error.strerror})", "name another folder") from error
        self.adopt()
        self.tidy()
        self.claim(FILES)
        before = [name for name in self.owned() if name not in (CONFIG, CINE, REPORT, LOG)]
        self.remove(sorted(before, key=lambda name: name != RECORD))  # it says that the run is done: first
        self.write_text(CONFIG, asked)
        self.remove([CINE, REPORT, LOG])
        self._run_id = None

    @property
    def run_id(self) -> str:
        """The id of the run, which its files carry; empty of runs made before there were ids."""
        if self._run_id is None:
            self._run_id = stored.read_config_file(self.file(CONFIG))["run"].get("id", "") if self.is_run else ""
        return self._run_id

    def read_config(self) -> dict[str, Any]:
        """What was asked, settings by the names they have now.

        Raises BadScan when the folder holds no run or its config is damaged.
        """
        if not self.is_run:
            raise BadScan(str(self.path), f"there is no run here ({CONFIG} is missing)", "name a folder dainr fit made")
        content = stored.read_config_file(self.file(CONFIG))
        try:
            kind = get_method(content["run"]["method"]).Config
            content["config"] = with_new_names(kind, content["config"])
            build_config(kind, content["config"])
        except BadRequest as error:
            raise stored.damaged(self.file(CONFIG), f"{error.what}: {error.why}", stored.ANEW) from error
        return content

    def read_record(self, verdict: bool = True) -> dict[str, Any]:
        """What happened; of a run that is done all that a report tells, its `verdict` or not.

        Raises BadScan when it is missing, damaged or that of another run.
        """
        path = self.file(RECORD)
        if not path.exists() and not path.is_symlink():
            raise BadScan(str(self.path), "the run in it has not ended", "finish it with fit --resume")
        record = stored.read_record_file(path, verdict)
        if self.is_run and "input" in record:
            run = self.read_config()["run"]
            same = (record["input"].get("sha256"), record["method"]) == (run["sha256"], run["method"])
            stored.check_id(path, record.get("id", "") if same else "of another scan", self.run_id, stored.RESUMED)
        return record

    def write_record(self, record: dict[str, Any]) -> None:
        """Write run.json."""
        self.write_text(RECORD, json.dumps(record, indent=1) + "\n")

    def log(self, step: Step) -> None:
        """Observer: one line for every validated step."""
        if step.heldout is None:
            return
        line = {
            "slice": step.slice,
            "step": step.step,
            "loss": step.loss,
            "heldout": step.heldout,
            "learning_rate": step.learning_rate,
            "seconds": round(step.seconds, 3),
        }
        with room_for(self.file(LOG)), self.file(LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def checkpoint(self, step: Step) -> None:
        """Observer: the state every few seconds, and at the end of a slice."""
        if step.stopped not in ("", "interrupted"):
            whole = step.checkpoint()
            best = {k.removeprefix("best."): v for k, v in whole.tensors.items() if k.startswith("best.")}
            done = Checkpoint(best, replace(whole.state, stopped=step.stopped))
            self._save(f"state.{step.slice:03d}.safetensors", {f"finished.{step.slice}": done})
            self.file(STATE).unlink(missing_ok=True)
        elif time.monotonic() - self._saved_at > self.checkpoint_every_s:
            self.save_now(step)

    def save_now(self, step: Step) -> None:
        """Write the state of the slice in progress."""
        self._save(STATE, {f"current.{step.slice}": step.checkpoint()})

    def save_fields(self, fields: dict[int, Checkpoint]) -> None:
        """Write the fields of a run that has ended, in place of the state to resume from."""
        self._save(STATE, {f"finished.{index}": checkpoint for index, checkpoint in fields.items()})
        self._discard_slices()

    def discard_state(self) -> None:
        """Take the state away once a run without fields has ended: there is nothing to resume or render."""
        self.file(STATE).unlink(missing_ok=True)
        self._discard_slices()

    def save_features(self, maps: dict[str, torch.Tensor]) -> None:
        """Write the feature maps of the slices."""
        self._save_tensors(FEATURES, maps, {})

    def load_features(self) -> dict[str, torch.Tensor]:
        """The feature maps of the slices, or none."""
        path = self.file(FEATURES)
        return self._load_tensors(FEATURES)[0] if path.exists() or path.is_symlink() else {}

    def load_state(self) -> RunState:
        """The state to resume from; empty when the run was killed before its first checkpoint.

        Raises BadScan when the file is damaged.
        """
        state = RunState()
        for path in (*self._slices(), self.file(STATE)):
            if not path.exists() and not path.is_symlink():
                continue
            tensors, metadata = self._load_tensors(path.name)
            if "dainr" not in metadata:
                raise BadScan(str(path), "it holds no state of a fit", stored.ANEW)
            for (group, index), found in stored.read_states(metadata["dainr"], path).items():
                begin = f"{group}.{index}."
                mine = {k.removeprefix(begin): v for k, v in tensors.items() if k.startswith(begin)}
                checkpoint = Checkpoint(mine, _state_from(found))
                if group == "finished":
                    state.finished[index] = checkpoint
                elif index not in state.finished:  # killed as it ended
                    state = replace(state, current=(index, checkpoint))
        return state

    def state_to_resume(self) -> RunState:
        """The state to go on from, what a killed process left half written taken away. Raises BadScan."""
        self.adopt()
        self.tidy()
        state = self.load_state()
        self.trim_log(state)
        return state

    def _slices(self) -> list[Path]:
        return sorted(self.path.glob(SLICES))

    def _discard_slices(self) -> None:
        for path in self._slices():
            path.unlink()

    def _save(self, name: str, parts: dict[str, Checkpoint]) -> None:
        tensors: dict[str, torch.Tensor] = {}
        for key, checkpoint in parts.items():
            tensors |= {f"{key}.{part}": value.contiguous() for part, value in checkpoint.tensors.items()}
        states = {key: asdict(checkpoint.state) for key, checkpoint in parts.items()}
        self._save_tensors(name, tensors, {"dainr": json.dumps(states)})
        self._saved_at = time.monotonic()

    def _save_tensors(self, name: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        with self.writing(name) as part:
            part.touch()
            mode = part.stat().st_mode
            here = {k: v.cpu() for k, v in tensors.items()}
            save_file(here, part, metadata | {"run": self.run_id, "crc32": checksum(here)})
            part.chmod(mode)  # the library writes files that only their owner may read

    def _load_tensors(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        path = self.file(name)
        try:
            with safe_open(path, framework="pt") as file:
                tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise stored.damaged(path, str(error), stored.ANEW) from error
        stored.check_id(path, metadata.get("run", ""), self.run_id, stored.ANEW)
        if metadata.get("crc32", wanted := checksum(tensors)) != wanted:
            raise stored.damaged(path, "by its checksum it is not what was written", stored.ANEW)
        for key, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise stored.damaged(path, f"{key} is not finite", stored.ANEW)
        return tensors, metadata

    def trim_log(self, state: RunState) -> None:
        """Take back what was logged after the checkpoint, so that it is not there twice once the run has gone on."""
        if not self.file(LOG).is_file():
            return
        reached = {index: done.state.step for index, done in state.finished.items()}
        if state.current is not None:
            reached[state.current[0]] = state.current[1].state.step
        kept = []
        for line in self.file(LOG).read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                keep = entry["step"] <= reached.get(entry["slice"], 0)
            except (ValueError, TypeError, LookupError):  # the line that was being written when the run was killed
                continue
            if keep:
                kept.append(line + "\n")
        self.write_text(LOG, "".join(kept))


def checksum(tensors: dict[str, torch.Tensor]) -> str:
    """One of the bytes of all tensors, in the order of their names."""
    found = 0
    for _, tensor in sorted(tensors.items()):
        real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        found = crc32(real.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(), found)
    return str(found)


def _state_from(content: dict[str, Any]) -> FitState:
    known = {f.name: content[f.name] for f in fields(FitState) if f.name in content}
    validations = [Validation(v["step"], v["heldout"], v["seconds"]) for v in content["validations"]]
    return FitState(**known | {"validations": validations})
