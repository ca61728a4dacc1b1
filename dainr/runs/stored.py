"""What the files of a run hold when they are whole: one reader for all who read a run.

Each file of a run begun by this version names the run by its id, so that the file of another run is not taken for one
of this. Runs of before have none. Nothing here imports torch: who resumes a run looks at its config first of all.
"""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dainr.errors import BadScan
from dainr.runs.schema import Only, fault

ANEW = "fit the scan again with --force"
RESUMED = "make it anew from the run's state with fit --resume"
REPAIRED = "mend it with dainr report --repair"

NUMBERS = ("spokes_per_frame?", "every?", "frames_per_cycle?", "respiratory_bins?")
TEXTS = ("affine?", "coil_maps?", "density?", "noise?", "trajectory?", "trajectory_unit?", "time_unit?")
CONFIG = {
    "run": Only(
        {
            "method": str,
            "preset": str,
            "scan": str,
            "sha256": str,
            "binning?": Only(dict.fromkeys(NUMBERS, int) | dict.fromkeys(("frames?", "slices?", "matrix?"), str)),
            "reading?": dict.fromkeys(TEXTS, str),
            "id?": str,
        }
    ),
    "config": dict,
}
ENDED = {"budget", "converged", "interrupted"}
VALIDATION = {"step": int, "heldout": float, "seconds": float}
SCAN = {
    "name": str,
    "sampling": str,
    "matrix": (int, int),
    "fov_mm": (float, float),
    "pixel_mm": (float, float),
    "slice_thickness_mm": float,
    "slices": int,
    "coils": int,
    "samples_per_readout": int,
    "frames": int,
    "readouts_per_frame": (int, int),
    "acceleration": float,
    "k_reach?": float,
    "duration_s": float,
    "notes": [str],
}
PREPARE = {
    "held_out_readouts?": int,
    "readouts?": int,
    "virtual_coils?": int,
    "noise_from": str,
    "coil_maps": str,
    "density": str,
    "gradient_delays_samples?": [[float]],
    "spoke_phase_rad?": [float],
    "outside_energy?": float,
    "frames_without_signal?": [int],
}
FIT = {
    "steps": int,
    "stopped": ENDED,
    "best_step": int,
    "seconds": float,
    "in_sample_error": float,
    "noise_error": float,
    "frame_errors": [float],
    "validations": [VALIDATION],
    "heldout_error?": float,
    "heldout_noise_error?": float,
    "image_error?": float,
    "image_error_range?": (float, float),
    "largest_displacement_pixels?": float,
}
VERDICT = [{"level": {"good", "caution", "poor"}, "text": str}]
RECORD = {"status": str}  # of a run that has begun
DONE = {  # of one that has ended, but for its verdict
    "id?": str,
    "input": {"path": str, "sha256": str},
    "method": str,
    "preset": str,
    "seed": int,
    "device": str,
    "device_name": str,
    "threads": int,
    "versions": {str: str},
    "scan": SCAN,
    "choices": {"fourier": str},
    "peak_memory_mb": float,
    "slices": [{"prepare": PREPARE, "fit?": FIT, "iterations?": {"steps": int, "stopped": ENDED, "seconds": float}}],
    "parameters?": int,
    "seconds": {"total": float, "fit?": float, "prepare?": float, "error_map?": float},
}
STATES = {  # by slice, in the metadata of a state
    str: {
        "step": int,
        "seconds": float,
        "best_step": int,
        "since_best": int,
        "losses": [float],
        "validations": [VALIDATION],
        "stopped": str,
        "frames_at_once?": int,
    }
}


def read_config_file(path: Path) -> dict[str, Any]:
    """What was asked of a run, settings by the names they had then. Raises BadScan."""
    return _read(path, tomllib.loads, CONFIG, ANEW)


def read_record_file(path: Path, verdict: bool = True) -> dict[str, Any]:
    """What happened in a run; of one that is done all that a report tells, `verdict` or not. Raises BadScan."""
    record = _read(path, json.loads, RECORD, RESUMED)
    if record["status"] == "done":
        check(record, DONE, path, RESUMED)
        wrong = "" if record["slices"] else "slices is empty"
        if "dainr" not in record["versions"]:
            wrong = "versions.dainr is missing"
        for index, one in enumerate(record["slices"]):
            fit = one.get("fit", {})
            for first, second in (("heldout_error", "heldout_noise_error"), ("image_error", "image_error_range")):
                if (first in fit) != (second in fit):
                    wrong = f"slices[{index}].fit has one of {first} and {second}"
        if verdict and not wrong:
            wrong = verdict_fault(record)
        if wrong:
            raise damaged(path, wrong, RESUMED)
    return record


def verdict_fault(record: dict[str, Any]) -> str:
    """What is wrong with the verdict in a record, or nothing."""
    return fault(record, {"verdict": VERDICT}) or ("" if record["verdict"] else "verdict is empty")


def read_states(text: str, path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The states of the slices in the metadata of a file, by group (finished or current) and slice. Raises BadScan."""
    states = parsed(path, lambda: json.loads(text), ANEW)
    check(states, STATES, path, ANEW)
    found = {}
    for key, state in states.items():
        group, _, index = key.partition(".")
        if group not in ("finished", "current") or not index.isdecimal() or len(index) > 6:
            raise damaged(path, f"{key} is no slice", ANEW)
        best = state.get("best_heldout")
        if not isinstance(best, float | int) or isinstance(best, bool):  # infinite until a step was validated
            raise damaged(path, f"{key}.best_heldout is not a number", ANEW)
        if group == "finished" and not state["losses"] and state["step"]:
            raise damaged(path, f"{key}.losses is empty", ANEW)
        found[group, int(index)] = state
    return found


def check_id(path: Path, found: str, wanted: str, fix: str) -> None:
    """Refuse the file of another run. Raises BadScan."""
    if found != wanted:
        raise BadScan(str(path), "it is a file of another run", f"put that of this run back, or {fix}")


def check(value: Any, pattern: Any, path: Path, fix: str) -> None:
    """Refuse what is not as its pattern has it. Raises BadScan."""
    if wrong := fault(value, pattern):
        raise damaged(path, wrong, fix)


def damaged(path: Path, why: str, fix: str) -> BadScan:
    """What to say of a file that is there and not whole."""
    return BadScan(str(path), f"it is damaged ({' '.join(why.split())})", fix)


def parsed(path: Path, parse: Callable[[], Any], fix: str) -> Any:
    """What a parser of text gives. Raises BadScan where it finds fault with the text."""
    try:
        return parse()
    except RecursionError as error:
        raise damaged(path, "it is nested too deep", fix) from error
    except ValueError as error:
        raise damaged(path, str(error), fix) from error


def read_text(path: Path, fix: str) -> str:
    """The text in a file. Raises BadScan where it cannot be read or is no UTF-8."""
    try:
        return parsed(path, lambda: path.read_text(encoding="utf-8"), fix)
    except OSError as error:
        raise BadScan(str(path), f"it cannot be read ({error.strerror})", fix) from error


def _read(path: Path, parse: Callable[[str], Any], pattern: Any, fix: str) -> Any:
    text = read_text(path, fix)
    content = parsed(path, lambda: parse(text), fix)
    check(content, pattern, path, fix)
    return content
