"""Methods are compared on equal terms: same data, no reference in reach, and the scores `evaluate` gives."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dainr.assess.metrics import Wanted
from dainr.assess.scores import evaluate
from dainr.errors import BadRequest, BadScan, Diverged, MissingBackend
from dainr.io.scans import native
from dainr.methods.classical.gridding import Gridding
from dainr.methods.dainr.method import Dainr
from dainr.methods.recon import Recon
from dainr.runs.folder import RunFolder
from dainr.runs.run import Request, load_run, reconstruct_into
from dainr.scan import Scan
from dainr.studies.compare import Comparison, Contender, ReferenceFile, _run, choose_contenders, compare, write_page
from tests.conftest import TINY

SETTINGS = (*TINY, "device=cpu")
GRIDDING = ("nufft=finufft", "device=cpu")


def run(scan: Scan, path: Path, contenders: Sequence[Contender]) -> Comparison:
    native.write(scan, path / "scan.h5")
    return compare(scan, path / "scan.h5", contenders, ReferenceFile(path / "scan.h5"))


@pytest.fixture(scope="module")
def compared(radial_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return run(radial_scan, tmp_path_factory.mktemp("compared"), choose_contenders(["gridding", "dainr"], SETTINGS))


def test_scores_are_those_of_a_run_of_the_method(compared: Comparison, radial_scan: Scan, tmp_path: Path) -> None:
    (contender,) = choose_contenders(["gridding"], GRIDDING)
    request = Request("gridding", "none", "scan.h5", "0" * 64)
    reconstruct_into(RunFolder(tmp_path / "run"), replace(radial_scan, reference=None), request, contender.config)
    assert radial_scan.reference is not None
    assert compared.outcomes[0].scores == evaluate(load_run(tmp_path / "run").cine.data, radial_scan.reference)


def test_the_record_tells_what_was_compared(compared: Comparison, radial_scan: Scan) -> None:
    record = compared.record
    assert [m["name"] for m in record["methods"]] == ["gridding", "dainr"]
    assert [m["status"] for m in record["methods"]] == ["done", "done"]
    assert (record["scan"]["frames"], record["scan"]["reference"]) == (6, False)
    assert record["methods"][0]["scores"] == Wanted().record(compared.outcomes[0].scores)  # type: ignore[arg-type]
    assert record["methods"][1]["config"]["warped"]["width"] == 16
    assert record["devices"].keys() == {"cpu"}
    assert record["input"] == record["reference"]


@pytest.mark.parametrize("record", [{}, {"seconds": {"total": 42.0, "fit": 40.0}}])
def test_seconds_are_the_methods_own(
    compared: Comparison,
    radial_scan: Scan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record: dict[str, Any],
) -> None:
    cine = compared.outcomes[0].cine
    assert cine is not None
    recon = Recon("gridding", cine, record, np.abs(cine.data))
    monkeypatch.setattr(Gridding, "__call__", lambda *_: recon)
    (outcome,) = run(radial_scan, tmp_path, choose_contenders(["gridding"], GRIDDING)).outcomes
    assert outcome.peak_memory_mb is None
    if record:
        assert outcome.seconds == record["seconds"]
    else:
        assert 0 < outcome.seconds["total"] < 42


def test_no_method_can_reach_the_reference(radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []
    resolve, call, read = Gridding.resolve, Gridding.__call__, ReferenceFile.read

    def watched_resolve(self: Gridding, scan: Scan, config: Any) -> Any:
        events.append(("resolve", scan.reference))
        return resolve(self, scan, config)

    def watched_call(self: Gridding, scan: Scan, *arguments: Any) -> Any:
        events.append(("run", scan.reference))
        return call(self, scan, *arguments)

    def watched_read(self: ReferenceFile) -> np.ndarray:
        events.append("read")
        return read(self)

    monkeypatch.setattr(Gridding, "resolve", watched_resolve)
    monkeypatch.setattr(Gridding, "__call__", watched_call)
    monkeypatch.setattr(ReferenceFile, "read", watched_read)
    assert radial_scan.reference is not None
    (contender,) = choose_contenders(["gridding"], GRIDDING)
    run(radial_scan, tmp_path, [contender, replace(contender, name="again")])
    assert events == [("resolve", None), ("resolve", None), ("run", None), ("run", None), "read"]


def test_a_method_that_diverges_leaves_the_others(radial_scan: Scan, tmp_path: Path) -> None:
    contenders = choose_contenders(["dainr", "gridding"], [*SETTINGS, "dainr:learning_rate=1e6"])
    compared = run(radial_scan, tmp_path, contenders)
    failed, done = compared.outcomes
    assert isinstance(failed.error, Diverged)
    assert (failed.cine, failed.scores) == (None, None)
    assert done.scores is not None
    assert compared.record["methods"][0]["status"] == "failed"
    assert (compared.record["methods"][0]["exit_code"], compared.record["methods"][0]["why"]) == (5, str(failed.error))
    write_page(compared, tmp_path / "page.html")
    assert str(failed.error.what) in (tmp_path / "page.html").read_text()


def test_a_missing_backend_leaves_the_others(
    radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    contenders = choose_contenders(["dainr", "gridding"], ["gridding:nufft=finufft", "dainr:device=cuda"])
    failed, done = run(radial_scan, tmp_path, contenders).outcomes
    assert isinstance(failed.error, MissingBackend)
    assert done.scores is not None


@pytest.mark.parametrize("kind", ["memory", "torch", "nan"])
def test_no_memory_or_no_numbers_is_a_failure_of_that_method(
    radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def fail(self: Dainr, scan: Scan, *_: Any) -> Any:
        if kind == "nan":
            recon = Gridding()(scan, choose_contenders(["gridding"], GRIDDING)[0].config)
            return replace(recon, cine=replace(recon.cine, data=recon.cine.data * np.nan))
        raise MemoryError if kind == "memory" else RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Dainr, "__call__", fail)
    failed, done = run(radial_scan, tmp_path, choose_contenders(["dainr", "gridding"], SETTINGS)).outcomes
    assert ("NaN" if kind == "nan" else "out of memory") in str(failed.error)
    assert done.scores is not None


def test_the_peak_of_memory_is_that_of_the_device_in_use(radial_scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    second, reset = torch.device("cuda:1"), list[torch.device]()
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device=None: reset.append(device))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2**22 if device == second else 0)
    contender = choose_contenders(["gridding"], GRIDDING)[0]
    recon = Gridding()(radial_scan, contender.config)
    monkeypatch.setattr(Gridding, "__call__", lambda *_: recon)
    outcome = _run(radial_scan, replace(contender, config=replace(contender.config, device="cuda:1")), ())
    assert (reset, outcome.peak_memory_mb) == ([second], 4)


def test_where_all_fail_there_is_no_comparison(radial_scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(Diverged):
        run(radial_scan, tmp_path, choose_contenders(["dainr"], [*SETTINGS, "learning_rate=1e6"]))


def test_a_flaw_of_the_program_is_no_failure_of_a_method(
    radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Gridding, *_: Any) -> Any:
        raise RuntimeError("a flaw")

    monkeypatch.setattr(Gridding, "__call__", broken)
    with pytest.raises(RuntimeError, match="a flaw"):
        run(radial_scan, tmp_path, choose_contenders(["gridding"], GRIDDING))


def test_settings_that_do_not_suit_the_scan_are_refused_before_anything_runs(
    radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gridding, "__call__", lambda *_: pytest.fail("it ran"))
    with pytest.raises(BadRequest):
        run(radial_scan, tmp_path, choose_contenders(["gridding", "dainr"], ["nufft=finufft", "dainr:device=abacus"]))


@pytest.mark.parametrize(
    ("names", "pairs", "named"),
    [
        (["gridding", "magic"], [], "--methods magic"),
        (["magic:fast"], [], "no such method"),
        (["dainr:ultra"], [], "--methods dainr:ultra"),
        (["dainr:missing.toml"], [], "no such file"),
        (["gridding:paper"], [], "has no presets"),
        (["gridding", " gridding"], [], "same as gridding"),
        (["dainr", "dainr:default"], [], "same as dainr"),
        ([""], [], "no such method"),
        (["gridding", "dainr"], ["learning_rat=1"], "learning_rate"),
        (["gridding"], ["fit.iterations=3"], "fit.iterations"),
        (["gridding"], ["dainr:iterations=3"], "not compared"),
        (["gridding", "dainr"], ["gridding:iterations=3"], "iterations"),
        (["dainr"], ["levels=4"], "several settings"),
    ],
)
def test_what_is_not_there_is_refused(names: list[str], pairs: list[str], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        choose_contenders(names, pairs)


def test_settings_reach_the_methods_that_have_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[fit]\niterations = 7\n")
    pairs = ["seed=3", "learning_rate=0.5", f"dainr:{path}:iterations=9", "gridding:nufft=sparse"]
    gridding, paper, mine = choose_contenders(["gridding", "dainr:paper", f"dainr:{path}"], pairs)
    assert (gridding.config.seed, paper.config.seed, mine.config.seed) == (3, 3, 3)
    assert (paper.config.fit.learning_rate, mine.config.fit.learning_rate) == (0.5, 0.5)
    assert (paper.config.fit.iterations != 9, mine.config.fit.iterations) == (True, 9)
    assert (gridding.config.nufft, mine.config.nufft) == ("sparse", "auto")
    assert (gridding.preset, mine.preset) == ("none", str(path))


@pytest.mark.parametrize("slices", [None, [1], [0, 2]])
def test_of_a_stack_the_chosen_slices_are_the_reference(tmp_path: Path, slices: list[int] | None) -> None:
    stack = np.arange(3 * 6 * 8 * 8, dtype=np.float32).reshape(3, 6, 8, 8)
    np.save(tmp_path / "stack.npy", stack)
    found = ReferenceFile(tmp_path / "stack.npy", slices).read()
    np.testing.assert_array_equal(found, stack if slices is None else stack[slices])
    np.save(tmp_path / "chosen.npy", found)
    np.testing.assert_array_equal(ReferenceFile(tmp_path / "chosen.npy", slices).read(), found)


def test_a_reference_of_another_shape_is_refused_before_anything_runs(
    radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gridding, "resolve", lambda *_: pytest.fail("it was asked"))
    np.save(tmp_path / "other.npy", np.ones((1, 5, 32, 32)))
    reference = ReferenceFile(tmp_path / "other.npy")
    with pytest.raises(BadScan, match=r"\(1, 5, 32, 32\)"):
        compare(radial_scan, tmp_path / "other.npy", choose_contenders(["gridding"]), reference)
