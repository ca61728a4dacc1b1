"""A folder of simulated scenes to train networks with: `scene_00000.h5` and on, each a native scan with its reference.

`scenes.json` says what they share. A scene follows from that and from its number alone, so that scans which are there
are kept, and several commands may fill one folder.
"""

import json
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import torch

from dainr.errors import BadRequest
from dainr.io.hdf5 import write_whole
from dainr.io.scans import native
from dainr.machine.lock import alone_in
from dainr.simulate.scene_scans import SceneConfig, simulate_scene

RECORD, SCHEMA = "scenes.json", "dainr-scenes"
VERSION = 1  # of what is drawn from a seed
MOST = 100_000  # scenes
FILES = "scene_[0-9][0-9][0-9][0-9][0-9].h5"


def scene_path(folder: Path, number: int) -> Path:
    """Where a scene lies."""
    return folder / f"scene_{number:05d}.h5"


def write_scenes(
    folder: Path, count: int, config: SceneConfig = SceneConfig(), jobs: int = 1, replace: bool = False
) -> Iterator[int]:
    """Make those of the first `count` scenes that are missing, several at once; the number of each when it is there.

    Scenes that were there come first. Raises BadRequest when the folder holds scenes of other settings, unless these
    are to be replaced, or scans of that name that are none.
    """
    if not 1 <= count <= MOST:
        raise BadRequest(f"--scenes {count}", "that is too few or too many", f"choose 1 to {MOST}")
    if jobs < 1:
        raise BadRequest(f"--jobs {jobs}", "that is too few", "choose 1 or more")
    _begin(folder, config, replace)
    there = [number for number in range(count) if _is_there(folder, number)]
    yield from there
    yield from _made(folder, sorted(set(range(count)) - set(there)), config, jobs)


def _begin(folder: Path, config: SceneConfig, replace: bool) -> None:
    """The folder, its record, and no scenes of other settings."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(str(folder), f"it cannot be a folder ({error.strerror})", "choose another name") from error
    record = _record(config)
    with alone_in(folder, "another command", wait=True):
        scenes, known = sorted(folder.glob(FILES)), _read_record(folder)
        if known is None and scenes:
            raise BadRequest(
                str(folder), f"{scenes[0].name} in it is no scene that was written here", "choose another folder"
            )
        if known not in (None, record) and not replace:
            raise BadRequest(
                str(folder), f"its scenes are others ({_differences(known, record)})", "choose another, or add --force"
            )
        if replace:
            for path in scenes:
                path.unlink()
        with write_whole(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _record(config: SceneConfig) -> dict:
    return {"schema": SCHEMA, "version": VERSION, "shared": config.given}


def _read_record(folder: Path) -> dict | None:
    """What the folder's record says, or None where there is none. Raises BadRequest for one that is damaged."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema"] == SCHEMA and isinstance(record["shared"], dict):
            return record
    except (ValueError, TypeError, LookupError):
        pass
    raise BadRequest(str(path), "it is no record of scenes", "choose another folder, or delete it and the scenes")


def _differences(known: dict | None, record: dict) -> str:
    """In words, how the scenes that are there differ from those wanted."""
    before, now = (known or {})["shared"], record["shared"]
    names = [name for name in sorted(before | now) if before.get(name) != now.get(name)]
    told = [f"{name} {before.get(name, 'drawn')} instead of {now.get(name, 'drawn')}" for name in names]
    return ", ".join(told) or "another version of the program drew them"


def _is_there(folder: Path, number: int) -> bool:
    path = scene_path(folder, number)
    return path.is_file() and native.recognises(path)


def _made(folder: Path, numbers: list[int], config: SceneConfig, jobs: int) -> Iterator[int]:
    """Make these scenes in this process, or in several of their own."""
    if jobs == 1 or len(numbers) < 2:
        for number in numbers:
            yield _make(folder, number, config)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(numbers)), spawn, torch.set_num_threads, (1,)) as pool:
        try:
            with _no_interrupt():
                made = [pool.submit(_make, folder, number, config) for number in numbers]
            for done in as_completed(made):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C does nothing, neither here nor in processes that begin within: it is for the one that hands out scenes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _make(folder: Path, number: int, config: SceneConfig) -> int:
    """Make a scene, unless another command has made it meanwhile, or has replaced all by scenes of other settings."""
    if not _is_there(folder, number):
        scan = simulate_scene(number, config)
        with alone_in(folder, "another command", wait=True):
            if _read_record(folder) != _record(config):
                raise BadRequest(str(folder), "another command makes other scenes in it", "choose another folder")
            native.write(scan, scene_path(folder, number))
    return number
