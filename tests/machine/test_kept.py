"""Results that are kept from one scan to the next."""

import numpy as np
import pytest

from dainr.machine import kept


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_results", kept._Kept())


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    calls = []

    @kept.kept()
    def double(x: np.ndarray) -> np.ndarray:
        calls.append(x)
        return 2 * x

    double(np.ones(3)), double(np.ones(3))
    assert len(calls) == 2


def test_what_a_scan_has_is_there_for_the_next_and_gone_with_the_one_after_that() -> None:
    calls = []

    @kept.kept()
    def double(x: np.ndarray, factors: list[np.ndarray], name: str) -> np.ndarray:
        calls.append(name)
        return 2 * x

    ones, factors = np.ones(3), [np.ones(2), np.zeros(2)]
    kept.next_scan()
    first = double(ones, factors, "a")
    kept.next_scan()
    assert double(ones.copy(), [f.copy() for f in factors], "a") is first
    for other in ((ones + 1, factors, "a"), (ones, factors[::-1], "a"), (ones.reshape(3, 1), factors, "a")):
        double(*other)
    double(ones, factors, "b")
    assert calls == ["a", "a", "a", "a", "b"]
    kept.next_scan()
    kept.next_scan()
    double(ones, factors, "a")
    assert len(calls) == 6


def test_what_was_kept_goes_when_another_protocol_comes() -> None:
    @kept.kept()
    def same(x: int) -> int:
        return x

    kept.next_scan()
    same(1), same(2)
    kept.next_scan()
    same(2)
    assert len(kept._results.of_last) == 2
    same(3)
    assert kept._results.of_last == {}


def test_a_result_may_depend_on_less_than_all() -> None:
    calls = []

    @kept.kept(depends_on=lambda points: len(points))
    def race(points: list[int]) -> int:
        calls.append(points)
        return len(points)

    kept.next_scan()
    race([1, 2]), race([3, 4]), race([1])
    assert calls == [[1, 2], [1]]


def test_there_is_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)

    @kept.kept()
    def same(x: int) -> int:
        return x

    kept.next_scan()
    for number in range(5):
        same(number)
    assert kept._results.of_this is not None
    assert list(kept._results.of_this.values()) == [3, 4]
