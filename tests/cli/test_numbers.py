"""Numbers that make no sense are refused at once, in one sentence."""

from pathlib import Path

import pytest

from dainr.errors import BadRequest
from dainr.settings.build import parse_seconds
from tests.cli import assert_one_error, invoke

ODD = ("nan", "inf", "-inf")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--snr", value) for value in (*ODD, "0", "-1")),
        *(("--seed", value) for value in ("-1", "99999999999999999999")),
        *(
            (name, value)
            for name in ("--coils", "--frames", "--matrix", "--spokes")
            for value in ("0", "-1", "999999999")
        ),
    ],
)
def test_simulate_refuses_numbers_out_of_all_bounds(tmp_path: Path, option: str, value: str) -> None:
    assert_one_error(invoke("simulate", tmp_path / "scan.h5", option, value), 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["99999999999h", "9" * 400 + "s", "inf", "nan", "-1s", "0"])
def test_a_time_is_positive_and_no_longer_than_a_year(text: str) -> None:
    with pytest.raises(BadRequest, match="--limit"):
        parse_seconds(text, "--limit")
