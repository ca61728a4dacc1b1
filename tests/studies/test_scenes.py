"""A folder of scenes: filled once, gone on with, never mixed."""

import json
from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.io import load
from dainr.scan import Scan
from dainr.simulate.scene_scans import SceneConfig, simulate_scene
from dainr.studies import scenes
from dainr.studies.scenes import scene_path, write_scenes

SMALL = SceneConfig(matrix=24, frames=3, coils=2, spokes=3)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.h5")}


def test_each_is_a_scan_with_its_reference(tmp_path: Path) -> None:
    assert list(write_scenes(tmp_path / "made" / "here", 2, SMALL)) == [0, 1]
    folder = tmp_path / "made" / "here"
    assert sorted(contents(folder)) == ["scene_00000.h5", "scene_00001.h5", "scenes.json"]
    for number in range(2):
        stored, made = load(scene_path(folder, number)), simulate_scene(number, SMALL)
        np.testing.assert_array_equal(stored.kspace, made.kspace)
        np.testing.assert_array_equal(stored.reference, made.reference)


def test_what_is_there_is_kept_and_only_what_is_missing_is_made(tmp_path: Path) -> None:
    list(write_scenes(tmp_path, 3, SMALL))
    before, made_at = contents(tmp_path), times(tmp_path)
    scene_path(tmp_path, 1).unlink()
    scene_path(tmp_path, 2).write_bytes(b"damaged")
    assert list(write_scenes(tmp_path, 3, SMALL)) == [0, 1, 2]
    assert contents(tmp_path) == before
    assert times(tmp_path)["scene_00000.h5"] == made_at["scene_00000.h5"]
    assert list(write_scenes(tmp_path, 2, SMALL)) == [0, 1]
    assert len(times(tmp_path)) == 3


def test_a_stop_leaves_whole_scenes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(number: int, config: SceneConfig) -> object:
        if number == 1:
            raise KeyboardInterrupt
        return simulate_scene(number, config)

    monkeypatch.setattr(scenes, "simulate_scene", stop)
    with pytest.raises(KeyboardInterrupt):
        list(write_scenes(tmp_path, 3, SMALL))
    assert sorted(contents(tmp_path)) == ["scene_00000.h5", "scenes.json"]


def test_a_command_stops_where_another_has_replaced_its_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SceneConfig(matrix=16, frames=3, coils=2, spokes=3)

    def replaced_meanwhile(number: int, config: SceneConfig) -> Scan:
        if (number, config) == (1, SMALL):
            list(write_scenes(tmp_path, 1, other, replace=True))
        return simulate_scene(number, config)

    monkeypatch.setattr(scenes, "simulate_scene", replaced_meanwhile)
    with pytest.raises(BadRequest, match="another command makes other scenes in it"):
        list(write_scenes(tmp_path, 3, SMALL))
    assert sorted(contents(tmp_path)) == ["scene_00000.h5", "scenes.json"]
    assert load(scene_path(tmp_path, 0)).matrix == (16, 16)


def test_scenes_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    list(write_scenes(tmp_path, 2, SMALL))
    before = contents(tmp_path)
    other = SceneConfig(matrix=32, frames=3, coils=2, spokes=3, snr=20.0)
    with pytest.raises(BadRequest, match=r"matrix 24 instead of 32, snr drawn instead of 20\.0"):
        list(write_scenes(tmp_path, 1, other))
    assert contents(tmp_path) == before
    assert list(write_scenes(tmp_path, 1, other, replace=True)) == [0]
    assert list(times(tmp_path)) == ["scene_00000.h5"]
    assert load(scene_path(tmp_path, 0)).matrix == (32, 32)


def test_scenes_of_another_version_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(write_scenes(tmp_path, 1, SMALL))
    monkeypatch.setattr(scenes, "VERSION", scenes.VERSION + 1)
    with pytest.raises(BadRequest, match="another version"):
        list(write_scenes(tmp_path, 1, SMALL))


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    scene_path(tmp_path, 0).write_text("mine")
    for replace in (False, True):
        with pytest.raises(BadRequest, match=r"scene_00000\.h5 in it is no scene"):
            list(write_scenes(tmp_path, 1, SMALL, replace=replace))
    assert contents(tmp_path) == {"scene_00000.h5": b"mine"}


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "other", "shared": {}}', "[1]"])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "scenes.json").write_text(text)
    with pytest.raises(BadRequest, match="it is no record of scenes"):
        list(write_scenes(tmp_path, 1, SMALL))


def test_the_record_says_what_they_share(tmp_path: Path) -> None:
    list(write_scenes(tmp_path, 1, SMALL))
    record = json.loads((tmp_path / "scenes.json").read_text())
    assert record["shared"] == {"matrix": 24, "frames": 3, "coils": 2, "spokes": 3, "seed": 0}


@pytest.mark.parametrize(("count", "jobs"), [(0, 1), (10**6, 1), (2, 0)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, count: int, jobs: int) -> None:
    with pytest.raises(BadRequest, match=r"--scenes|--jobs"):
        list(write_scenes(tmp_path / "new", count, SMALL, jobs))
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_several_at_once_make_the_same(tmp_path: Path) -> None:
    list(write_scenes(tmp_path / "one", 3, SMALL))
    assert sorted(write_scenes(tmp_path / "two", 3, SMALL, jobs=2)) == [0, 1, 2]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
