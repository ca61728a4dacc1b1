"""What is in a folder, by what its files hold: what changes from one run to the next, as dates and durations, aside."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image, ImageSequence
from safetensors import safe_open

Content = dict[str, str]  # checksum, or what is wrong, by path
WRONG = "cannot be read: "
SET, ENDED, HOW_ENDED = 5, 6, (1, 2)  # of the lines of an optuna study
IDS = ("run", "replaces")  # of runs, in the record of a case
OF_THE_DAY = "second|memory|version|_s$|^id$"  # of one run alone


def content(folder: Path) -> Content:
    """A checksum of what each file in a folder holds; hidden ones aside, but for the records of a batch.

    A folder of DICOM images counts as one file.
    """
    found: Content = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") and part != ".cases" for part in name.parts) or path.suffix == ".lock":
            continue
        if path.is_dir() and path.name.endswith("dicom"):
            found[str(name)] = _checked(_dicom, path)
        elif path.is_file() and not path.parent.name.endswith("dicom"):
            found[str(name)] = _checked(READERS.get(path.suffix, Path.read_bytes), path)
    return found


def _checked(read: Callable[[Path], Any], path: Path) -> str:
    """The checksum of what a file holds; looked up where a copy of the same size and time has been read."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    same = (path.name, *((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files))
    if same not in _read_before:
        _read_before[same] = _read(read, path)
    return _read_before[same]


_read_before: dict[tuple[Any, ...], str] = {}


def _read(read: Callable[[Path], Any], path: Path) -> str:
    try:
        held = read(path)
    except Exception as error:
        return f"{WRONG}{error}"
    return hashlib.sha256(held if isinstance(held, bytes) else repr(held).encode()).hexdigest()


def _array(array: Any) -> tuple[Any, ...]:
    a = np.asarray(array)
    held = repr(a.tolist()).encode() if a.dtype == object else np.ascontiguousarray(a).tobytes()
    return a.shape, str(a.dtype), hashlib.sha256(held).hexdigest()


def _hdf5(path: Path) -> list[Any]:
    found: list[Any] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        found.append((name, {key: _array(value) for key, value in item.attrs.items() if key != "run"}))
        if isinstance(item, h5py.Dataset):
            found.append(_array(item[()]))

    with h5py.File(path) as file:
        visit("/", file)
        file.visititems(visit)
    return found


def _tensors(path: Path) -> list[Any]:
    with safe_open(path, "np") as file:
        told = file.metadata() or {}
        states = json.loads(told.get("dainr", told.get("state", "null")))
        return [_lasting(states), *((key, _array(file.get_tensor(key))) for key in file.keys())]  # noqa: SIM118


def _image(path: Path) -> list[Any]:
    with Image.open(path) as image:
        return [_array(frame.convert("L")) for frame in ImageSequence.Iterator(image)]


def _nifti(path: Path) -> list[Any]:
    import nibabel

    image: Any = nibabel.loadsave.load(path)
    return [_array(image.dataobj), _array(image.affine)]


def _dicom(path: Path) -> list[Any]:
    import pydicom

    images = [pydicom.dcmread(file) for file in sorted(path.iterdir())]
    return [(image.InstanceNumber, _array(image.pixel_array)) for image in images]


def _page(path: Path) -> str:
    """A page without its numbers and pictures, in which times are."""
    text = path.read_text(encoding="utf-8")
    if not text.rstrip().endswith("</html>"):
        raise ValueError("it has no end")
    return _words(re.sub(r"data:[^\"' )]+|sha256-[^']+", "", text))


def _words(text: str) -> str:
    return re.sub(r"[\d.,:]+", "#", text)


def _json(path: Path) -> Any:
    return _lasting(json.loads(path.read_text(encoding="utf-8")))


def _lines(path: Path) -> list[Any]:
    """A log: every line must be whole, and be there once."""
    return [_lasting(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _study(path: Path) -> list[Any]:
    """Settings and scores of the attempts of a search that ended; those that were killed do not count."""
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    done = [json.loads(line) for line in whole]
    ended = [one for one in done if one["op_code"] == ENDED and one["state"] in HOW_ENDED]
    return [
        (one["state"], one["values"], [o["param_value_internal"] for o in done if _is_setting(o, one["trial_id"])])
        for one in ended
    ]


def _is_setting(operation: dict[str, Any], trial: int) -> bool:
    return operation["op_code"] == SET and operation["trial_id"] == trial


def _lasting(thing: Any) -> Any:
    """Without what tells of times and memory."""
    if isinstance(thing, dict):
        told = {k: v for k, v in thing.items() if k not in IDS or isinstance(v, dict)}
        return {k: _lasting(v) for k, v in told.items() if not re.search(OF_THE_DAY, k)}
    return [_lasting(one) for one in thing] if isinstance(thing, list) else thing


READERS: dict[str, Callable[[Path], Any]] = {
    ".h5": _hdf5,
    ".mrd": _hdf5,
    ".png": _image,
    ".gif": _image,
    ".gz": _nifti,
    ".npy": lambda path: _array(np.load(path)),
    ".safetensors": _tensors,
    ".html": _page,
    ".md": lambda path: _words(path.read_text(encoding="utf-8")),
    ".json": _json,
    ".jsonl": _lines,
    ".study": _study,
    ".toml": lambda path: _lasting(tomllib.loads(path.read_text(encoding="utf-8"))),
}


@dataclass(frozen=True)
class Expected:
    """What a folder may hold: before a command and after it, from two undisturbed runs, which tell what varies.

    `passing`: patterns of files that may be gone or others while the command is under way. `by_clock`: of those whose
    content follows from how long something took.
    """

    old: Content
    new: Content
    again: Content
    passing: tuple[str, ...] = ()
    by_clock: tuple[str, ...] = ()

    @property
    def varying(self) -> list[str]:
        """Files that differ between undisturbed runs, or may: of them it is only asked that they can be read."""
        return [
            name
            for name, held in self.new.items()
            if held != self.again.get(name) or any(re.fullmatch(pattern, name) for pattern in self.by_clock)
        ]

    def faults_after_kill(self, found: Content) -> list[str]:
        """What is neither old nor new."""
        allowed = {name: {self.old.get(name), self.new.get(name)} for name in {*self.old, *self.new, *found}}
        return [fault for name, those in allowed.items() if (fault := self._fault(name, found.get(name), those))]

    def faults_at_end(self, found: Content) -> list[str]:
        """What is not new once the command has run to its end."""
        names = {*self.new, *found}
        return [fault for name in names if (fault := self._fault(name, found.get(name), {self.new.get(name)}, True))]

    def _fault(self, name: str, held: str | None, allowed: set[str | None], at_end: bool = False) -> str | None:
        if held is not None and held.startswith(WRONG):
            return f"{name} {held}"
        if held in allowed or (held is not None and name in self.varying):
            return None
        if not at_end and any(re.fullmatch(pattern, name) for pattern in self.passing):
            return None
        return f"{name} is {'gone' if held is None else 'neither old nor new'}"
