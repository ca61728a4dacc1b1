"""The options that commands share: taken from one table, turned into a binning, settings, and arguments again."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dainr.cli import options
from dainr.errors import BadRequest
from dainr.io import ReadOptions
from dainr.io.scans.options import NAMES
from dainr.prepare.binning import Binning

ALL = [
    *("--method", "dainr", "--preset", "fast", "--iterations", "9", "--budget", "2m", "--spokes-per-frame", "7"),
    *("--every", "3", "--slices", "0-2", "--matrix", "64x48", "--device", "cpu", "--seed", "0", "--error-map"),
    *("--set", "encoder=none", "--set", "fit.iterations=3"),
]

ALL_NAMES = [*options.SHARED, *options.READING]


def asked(*arguments: str, **how: object) -> options.Asked:
    """What a command with the shared options is given for these arguments."""
    seen: list[options.Asked] = []

    @options.shared(**how)  # type: ignore[arg-type]
    def command(scan: str, *, asked: options.Asked, last: Annotated[int, typer.Option()] = 3) -> None:
        assert (scan, last) == ("scan.h5", 3)
        seen.append(asked)

    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)
    result = CliRunner().invoke(app, ["scan.h5", *arguments], catch_exceptions=False)
    if result.exit_code:
        raise ValueError(result.stderr)
    return seen[0]


def test_they_come_as_binning_settings_and_the_arguments_they_were() -> None:
    found = asked(*ALL)
    assert found.binning == Binning(spokes_per_frame=7, every=3, slices=(0, 1, 2), matrix=(64, 48))
    expected = [
        "iterations=9",
        "budget_s=120.0",
        "device=cpu",
        "seed=0",
        "error_map=yes",
        "encoder=none",
        "fit.iterations=3",
    ]
    assert found.pairs == expected
    assert found.arguments == tuple(ALL)
    assert asked().arguments == () and asked().pairs == [] and asked().binning == Binning()


def test_a_budget_alone_leaves_the_number_of_steps_open() -> None:
    assert asked("--budget", "3s").pairs == ["budget_s=3.0", "iterations=0"]


def test_a_presets_file_is_named_by_its_whole_path_in_the_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = asked("--preset", "mine.toml")
    assert found.given["preset"] == "mine.toml"
    assert found.arguments == ("--preset", str(tmp_path.resolve() / "mine.toml"))


def test_a_command_leaves_out_some_and_has_help_of_its_own() -> None:
    with pytest.raises(ValueError, match="--method"):
        asked("--method", "dainr", leave_out=options.METHOD)

    @options.shared(leave_out=["frames"], set="mine")
    def command(*, first: int = 0, asked: options.Asked, last: int = 0) -> None: ...

    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["first", *(name for name in ALL_NAMES if name != "frames"), "last"]
    assert parameters["set"].annotation.__metadata__[0].help == "mine"
    assert parameters["seed"].annotation is options.SHARED["seed"]


def test_binning_and_method_name_options_of_the_table() -> None:
    assert [name for name in options.SHARED if name in options.BINNING] == list(options.BINNING)
    assert [field.name for field in fields(Binning)] == list(options.BINNING)
    assert [name for name in options.SHARED if name in options.METHOD] == list(options.METHOD)
    assert list(options.READING) == list(NAMES)


def test_what_is_said_of_a_file_comes_parsed_and_names_files_by_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = asked("--pixel-mm", "1.5x1.2", "--affine", "affine.txt")
    assert found.reading == ReadOptions(pixel_mm=(1.5, 1.2), affine=tmp_path.resolve() / "affine.txt")
    assert found.arguments == ("--pixel-mm", "1.5x1.2", "--affine", str(tmp_path.resolve() / "affine.txt"))
    assert asked().reading == ReadOptions()


SIZE = st.integers(1, 9999)


@settings(max_examples=200, deadline=None)
@given(st.none() | st.sets(SIZE, min_size=1).map(sorted).map(tuple), st.none() | st.tuples(SIZE, SIZE))
def test_a_stored_binning_reads_back(slices: tuple[int, ...] | None, matrix: tuple[int, int] | None) -> None:
    binning = Binning(spokes_per_frame=4, slices=slices, matrix=matrix)
    assert options.read_binning(binning.as_dict()) == binning


@pytest.mark.parametrize("text", ["", "first", "3-1", "1,,2", "-1", "0-"])
def test_what_names_no_slices_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="--slices"):
        options.parse_slices(text)


@pytest.mark.parametrize("text", ["", "large", "12x", "1.5", "123456"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="--matrix"):
        options.parse_matrix(text)
