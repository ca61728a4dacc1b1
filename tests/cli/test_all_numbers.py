"""Every option of every command that may carry a number, and every setting that is one, with numbers of all kinds.

Each starts what it should or is refused at once: one sentence, nothing written.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from dainr.cli import app
from dainr.cli.options import READING, SHARED
from dainr.errors import BadRequest
from dainr.io.images.cine import read_cine
from dainr.io.images.nifti import write_maps
from dainr.io.scans.native import write
from dainr.methods import METHODS, get_method
from dainr.methods.dainr.config import POINTWISE
from dainr.settings.build import build_config, default_settings, list_settings
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.studies.train.config import config_kind
from tests.runs.test_owned import OLD_RUN

NUMBERS = ("nan", "inf", "-inf", "-1", "0", "1e30", "999999999999", "99999999999h")
WORDS = {  # what other options take: files, names, addresses
    *("output", "scheduler", "method", "methods", "preset", "device", "export", "to", "phantom", "pattern", "licence"),
    *("affine", "coil_maps", "density", "noise", "trajectory_unit", "time_unit", "mask", "like", "reference", "cine"),
    *("set", "pairs"),  # of which each has a line below
    *("host", "presets", "keep", "images", "preview", "config"),
}
GROUP: Any = typer.main.get_command(app)  # once, for it takes as long as a command


BESIDE = {  # what some mean nothing without
    "every": ["--spokes-per-frame", "3"],
    "respiratory_bins": ["--frames-per-cycle", "2"],
    "acceleration": ["--pattern", "vista"],
    "calibration": ["--pattern", "vista"],
    "partitions": ["--pattern", "stack-of-stars"],
}
# huge ones mean something here: no more scenes are made at once than there are
TAKEN = dict.fromkeys(("seed", "jobs", "snr"), ("0", "999999999999"))
TAKEN["anterior"] = ("-1", "0")


class Started(Exception):
    """The work would begin here."""


def start(*_: object, **__: object) -> None:
    raise Started


OPTIONS = [
    (name, option)
    for name, command in GROUP.commands.items()
    for option in command.params
    if option.param_type_name == "option" and not option.is_flag and option.name not in WORDS
    if name in ("fit", "simulate", "export") or option.name not in SHARED | READING  # others take those of fit
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("numbers")
    (made / "scans").mkdir()
    write(simulate_phantom(SimulationConfig(spokes=5, coils=2, frames=2, matrix=16)), made / "scans" / "s.h5")
    np.save(made / "reference.npy", np.ones((1, 2, 16, 16), np.float32))
    shutil.copytree(OLD_RUN, made / "run")
    cine = read_cine(made / "run" / "cine.h5")[0]
    write_maps(np.ones(cine.data.shape, np.uint8), cine, made / "wall.nii.gz")
    return made


@pytest.fixture
def nothing_begins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What takes long is not begun, and the commands are not put together anew each time."""
    for name in (
        "dainr.runs.run.reconstruct_into",
        "dainr.studies.batch.folder.fit_folder",
        "dainr.studies.tuning.Tuning.budget",
        "dainr.studies.tuning.Tuning.settings",
        "dainr.studies.compare.compare",
        "dainr.io.scans.native.write",
        "dainr.io.scans.ismrmrd_write.write_ismrmrd",
        "dainr.studies.scenes._made",
        "dainr.export.export",
        "dainr.export.export_motion",
        "dainr.motion.labels.carried",
        "dainr.motion.strain.wall_strain",
        "dainr.serve.server.Server",
    ):
        monkeypatch.setattr(name, start)
    monkeypatch.setattr("typer.testing._get_command", lambda _: GROUP)
    yield


def command_line(folder: Path, name: str, option: Any) -> list[str]:
    """A command that is right but for the option to come."""
    scan, run, out = folder / "scans" / "s.h5", folder / "run", folder / "out"
    of_ring = option.name in ("centre", "radii")
    wall = ["--centre", "8,8", "--radii", "10,60"] if of_ring else ["--mask", folder / "wall.nii.gz"]
    lines: dict[str, list[Any]] = {
        "fit": [scan, "-o", out],
        "batch": [scan.parent, "-o", out],
        "tune": [scan, "-o", f"{out}.toml"],
        "export": [run, f"{out}.npy"],
        "evaluate": [run, folder / "reference.npy"],
        "compare": [scan, "--methods", "gridding", "-o", f"{out}.html"],
        "convert": [scan, f"{out}.h5"],
        "simulate": [f"{out}.h5", "--matrix", "16", "--frames", "2", "--coils", "2"],
        "motion": [run, f"{out}.npy"],
        "propagate": [run, folder / "wall.nii.gz", out],
        "strain": [run, out, *wall],
        "report": [run, *wall],
        "serve": [],
    }
    beside = ["--scenes", "2"] if (name, option.name) == ("simulate", "jobs") else BESIDE.get(option.name, [])
    return [name, *map(str, lines[name]), *beside]


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=[f"{n}{o.opts[-1]}" for n, o in OPTIONS])
@pytest.mark.usefixtures("nothing_begins")
def test_an_option_with_a_number_starts_or_is_refused(name: str, option: Any, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for number in NUMBERS:
        said = CliRunner().invoke(app, [*command_line(folder, name, option), f"{option.opts[-1]}={number}"])
        if isinstance(said.exception, Started) or said.exit_code == 0:
            assert number in TAKEN.get(option.name, ("0",)), f"{option.name}={number} starts"
            before = sorted(folder.rglob("*"))
            continue
        assert isinstance(said.exception, SystemExit), (number, said.exception)
        assert said.exit_code in (2, 3, 4), (number, said.stderr)
        assert said.stderr.splitlines()[-1].startswith(("dainr: ", "Error: ")), said.stderr
        assert sorted(folder.rglob("*")) == before, number


@pytest.mark.parametrize("method", [*METHODS, "training"])
def test_a_setting_with_a_number_is_taken_or_refused(method: str) -> None:
    kind = config_kind("crnn") if method == "training" else get_method(method).Config
    defaults = default_settings(kind)
    for key in [key for key, words in list_settings(kind).items() if words in ("a number", "a whole number")]:
        field = ["field=pointwise"] if key.startswith(POINTWISE) else []
        build_config(kind, {}, [*field, f"{key}={defaults[key]}"])
        for number in NUMBERS:
            try:
                build_config(kind, {}, [*field, f"{key}={number}"])
            except BadRequest as error:
                assert key.rpartition(".")[2] in str(error)
            else:
                assert number == "0" or key == "seed", f"{key}={number}"
