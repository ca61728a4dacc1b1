"""Commands are measured on their own, and the command line a table shows names no folders."""

import sys

import numpy as np

from benchmarks.common import heading, run_command, table


def test_the_memory_of_a_command_is_not_that_of_the_script() -> None:
    ballast = np.ones(300 * 2**20, np.uint8)
    done = run_command(sys.executable, "-S", "-c", "print('here')")
    assert ballast[-1] == 1
    assert (done.code, done.stdout) == (0, "here\n")
    assert 0 < done.peak_memory_mb < 100


def test_the_memory_of_a_command_is_counted() -> None:
    done = run_command(sys.executable, "-S", "-c", "x = bytearray(b'1') * (200 * 2**20)")
    assert 200 < done.peak_memory_mb < 300
    assert 0 < done.seconds < 60


def test_a_failed_command_says_why() -> None:
    done = run_command(sys.executable, "-S", "-c", "import sys; sys.exit('first\\nthe reason')")
    assert (done.code, done.why) == (1, "the reason")


def test_a_heading_names_files_without_their_folders() -> None:
    text = heading(
        "T", "quality", ["--data", "/some/place/scans", "--set", "a=b", "--reference", "x.h5=/p/r.npy"], "cpu"
    )
    assert "python -m benchmarks.quality --data scans --set a=b --reference x.h5=r.npy\n" in text


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
