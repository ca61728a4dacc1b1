"""Names of cases: no two alike, none like an export, each usable."""

import os
from pathlib import Path

import pytest

from dainr.export import SUFFIXES
from dainr.studies.batch.names import AN_EXPORT, LONGEST, name_cases, printable


def names(*paths: str, **known: str) -> list[str]:
    return name_cases([Path(path) for path in paths], known)


def test_a_scan_is_called_as_its_file() -> None:
    assert names("a.h5", "ward/b.raw") == ["a", "ward_b"]


@pytest.mark.parametrize(
    "paths",
    [
        ("a_b.h5", "a/b.h5"),
        ("a_b.h5", "a/b.h5", "a/b.mrd", "a_b.mrd"),
        ("a.h5", "A.h5"),
        ("\u00e9.h5", "e\u0301.h5"),
        ("a.h5", "a.mrd", "a_h5.h5"),
        (os.fsdecode(b"\xff.h5"), "%FF.h5"),
        ("x" * 200 + "1.h5", "x" * 200 + "2.h5"),
    ],
)
def test_no_two_are_alike(paths: tuple[str, ...]) -> None:
    found = names(*paths)
    assert len({name.casefold() for name in found}) == len(paths)
    assert sorted(found) == sorted(names(*reversed(paths)))


def test_who_has_a_name_keeps_it_and_nobody_takes_it() -> None:
    known = {"a_b.h5": "a_b", "gone.h5": "here"}
    first, second, third = name_cases([Path("a_b.h5"), Path("a/b.h5"), Path("here.h5")], known)
    assert first == "a_b"
    assert second.startswith("a_b_h5_") or second.startswith("a_b_")
    assert third.startswith("here_") and len({first, second, third}) == 3


@pytest.mark.parametrize("stem", [*(f"p1{'' if s[0] == '.' else '_'}{s}" for s in SUFFIXES), "p1_view2", "p1.hdr"])
def test_none_is_that_of_an_export(stem: str) -> None:
    [name] = names(f"{stem}.h5")
    assert name.startswith(stem) and name != stem and not AN_EXPORT.search(name)


@pytest.mark.parametrize("stem", ["index.html", "summary.csv", "Summary.json"])
def test_none_is_that_of_the_summary(stem: str) -> None:
    assert names(f"{stem}.h5")[0].lower() != stem.lower()


@pytest.mark.parametrize("stem", ["\u00fc" * 125, "a" * 250])
def test_names_leave_room_for_what_is_added(stem: str) -> None:
    [name] = names(f"ward/{stem}.h5")
    assert len(name.encode()) <= LONGEST


def test_bytes_that_are_no_text_are_told() -> None:
    assert names(os.fsdecode(b"p\xff.h5")) == ["p%FF"]
    assert printable("a\nb\x1b[1m") == "a%0Ab%1B[1m"
