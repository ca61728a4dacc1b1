"""A search over settings: judged by held-out readouts, pruned, and going on from its file."""

from pathlib import Path

import pytest

from dainr.errors import BadRequest, Diverged
from dainr.fit.state import Step
from dainr.methods.dainr.config import DainrConfig
from dainr.scan import Scan
from dainr.settings.build import build_config, config_dict
from dainr.studies.search import SEARCHED, SPAN, Attempt, choose, search, settings_of
from tests.conftest import TINY, TINY_PAPER

CONFIG = build_config(DainrConfig, {}, [*TINY, "device=cpu", "iterations=10", "validate_every=1", "coarse_steps=2"])


def attempt(number: int, score: float | None) -> Attempt:
    return Attempt(number, {"fit.learning_rate": 0.02}, score)


@pytest.mark.parametrize(
    ("scores", "chosen"), [([1, 0.9, 0.8], 2), ([1, 0.99], 0), ([1, None, 0.9], 2), ([None, 1, 0.99], 1), ([1, 2], 0)]
)
def test_the_best_is_chosen_if_it_is_better_by_more_than_nothing(scores: list[float | None], chosen: int) -> None:
    assert choose([attempt(number, score) for number, score in enumerate(scores)]).number == chosen


def test_a_search_begins_where_the_config_stands_and_goes_on_from_its_file(radial_scan: Scan, tmp_path: Path) -> None:
    store = tmp_path / "a.study"
    first = list(search([radial_scan], CONFIG, 2, store))
    assert (first[0].score, first[0].number) == (1.0, 0)
    assert settings_of(CONFIG, first[0]) == CONFIG
    assert set(first[1].settings) == set(SEARCHED)
    for name, value in first[1].settings.items():
        assert first[0].settings[name] / SPAN <= value <= first[0].settings[name] * SPAN
    steps: list[Step] = []
    more = list(search([radial_scan], CONFIG, 3, store, [steps.append]))
    assert more[:2] == first and len(more) == 3
    assert more[2].settings != more[1].settings
    assert len(steps) <= 10


def test_other_scans_are_another_study(radial_scan: Scan, cartesian_scan: Scan, tmp_path: Path) -> None:
    store = tmp_path / "a.study"
    list(search([radial_scan], CONFIG, 2, store))
    both = list(search([radial_scan, cartesian_scan], CONFIG, 2, store))
    assert both[0].score == 1.0
    assert [a.number for a in both] == [0, 1]


def test_an_attempt_that_others_beat_on_the_way_is_stopped(radial_scan: Scan, tmp_path: Path) -> None:
    steps: list[int] = []

    def count(step: Step) -> None:
        steps.append(step.step)

    attempts = list(search([radial_scan], CONFIG, 12, tmp_path / "a.study", [count]))
    stopped = [a for a in attempts if a.score is None]
    assert 0 < len(stopped) < 7
    assert len(steps) < 10 * len(attempts)


def test_a_search_that_was_killed_begins_its_start_again(radial_scan: Scan, tmp_path: Path) -> None:
    def killed(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(search([radial_scan], CONFIG, 2, tmp_path / "a.study", [killed]))
    attempts = list(search([radial_scan], CONFIG, 2, tmp_path / "a.study"))
    assert attempts[0].score == 1.0 and len(attempts) == 2


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_search_that_was_killed_tries_what_it_would_have_tried(
    radial_scan: Scan, tmp_path: Path, attempt: int
) -> None:
    begun = 0

    def killed(step: Step) -> None:
        nonlocal begun
        begun += step.step == 1
        if begun > attempt:
            raise KeyboardInterrupt

    undisturbed = list(search([radial_scan], CONFIG, 3, tmp_path / "whole.study"))
    with pytest.raises(KeyboardInterrupt):
        list(search([radial_scan], CONFIG, 3, tmp_path / "a.study", [killed]))
    again = list(search([radial_scan], CONFIG, 3, tmp_path / "a.study"))
    assert again == undisturbed
    assert list(search([radial_scan], CONFIG, 3, tmp_path / "a.study")) == undisturbed


def test_nothing_lies_beside_the_study_that_a_kill_could_leave(
    radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = set[str]()
    monkeypatch.setattr("os.fsync", lambda _: there.update(path.name for path in tmp_path.iterdir()))
    list(search([radial_scan], CONFIG, 2, tmp_path / "a.study"))
    assert there == {"a.study"}


def test_two_searches_do_not_meet_in_a_study(radial_scan: Scan, tmp_path: Path) -> None:
    store = tmp_path / "a.study"
    running = search([radial_scan], CONFIG, 2, store)
    next(running)
    whole = store.read_bytes()
    with pytest.raises(BadRequest, match="another search is at work in it"):
        list(search([radial_scan], CONFIG, 2, store))
    assert store.read_bytes() == whole
    assert len([*running]) == 1
    assert len(list(search([radial_scan], CONFIG, 2, store))) == 2


def test_a_start_that_diverges_is_said(radial_scan: Scan, tmp_path: Path) -> None:
    wild = build_config(DainrConfig, config_dict(CONFIG), ["learning_rate=1e9"])
    with pytest.raises(Diverged):
        list(search([radial_scan], wild, 2, tmp_path / "a.study"))


@pytest.mark.parametrize(("settings", "said"), [((*TINY, "holdout=0"), "nothing judges"), (TINY_PAPER, "warped field")])
def test_what_cannot_be_searched_is_refused(
    settings: tuple[str, ...], said: str, radial_scan: Scan, tmp_path: Path
) -> None:
    config = build_config(DainrConfig, {}, [*settings, "device=cpu", "iterations=5"])
    with pytest.raises(BadRequest, match=said):
        list(search([radial_scan], config, 2, tmp_path / "a.study"))


def test_a_file_that_is_no_study_is_refused(radial_scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "a.study").write_text("mine\n")
    with pytest.raises(BadRequest, match="not the study"):
        list(search([radial_scan], CONFIG, 2, tmp_path / "a.study"))
    assert (tmp_path / "a.study").read_text() == "mine\n"


def test_half_a_line_of_a_killed_process_is_taken_away(radial_scan: Scan, tmp_path: Path) -> None:
    store = tmp_path / "a.study"
    attempts = list(search([radial_scan], CONFIG, 2, store))
    whole = store.read_bytes()
    store.write_bytes(whole + b'{"op_code":4,"worker_id":"4d')
    assert list(search([radial_scan], CONFIG, 2, store)) == attempts
    assert store.read_bytes().startswith(whole + b'{"op_code":0,')  # of the second time it was opened


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"op_code":4', b'"op_code":44x'),
        (b'"distribution"', b'"istribution"'),
        (b'"param_value_internal":0', b'"param_value_internal":NaN, "x":0'),
        (b'"values":[', b'"values":["a", '),
    ],
)
def test_a_study_that_others_changed_is_refused(radial_scan: Scan, tmp_path: Path, old: bytes, new: bytes) -> None:
    store = tmp_path / "a.study"
    list(search([radial_scan], CONFIG, 1, store))
    changed = store.read_bytes().replace(old, new)
    store.write_bytes(changed)
    with pytest.raises(BadRequest, match="not the study"):
        list(search([radial_scan], CONFIG, 2, store))
    assert store.read_bytes().startswith(changed)
