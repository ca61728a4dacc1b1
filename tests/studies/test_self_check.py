"""The check of a device finds what is wrong with it, and goes on to the next."""

import pytest
import torch

from dainr.errors import MissingBackend
from dainr.operators.nufft.sparse import SparseNufftOperator
from dainr.simulate import SimulationConfig
from dainr.studies import self_check
from dainr.studies.self_check import Finding

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "PHANTOM", SimulationConfig(matrix=32, frames=4, coils=2))
    monkeypatch.setattr(self_check, "STEPS", 4)
    monkeypatch.setattr(self_check, "available_backends", lambda device: ["sparse"])


@pytest.mark.usefixtures("small")
def test_a_sound_device_passes() -> None:
    found = {finding.name: finding for finding in self_check.self_check("cpu")}
    assert {"device", "torch", "arithmetic", "NUFFT sparse", "fit"} <= found.keys()
    assert [finding for finding in found.values() if not finding.right] == []


def test_a_device_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingBackend, match="torch sees no CUDA device"):
        next(self_check.self_check("cuda"))


def test_a_backend_that_computes_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = SparseNufftOperator.measure
    assert self_check._nufft("sparse", CPU)[1]
    monkeypatch.setattr(SparseNufftOperator, "measure", lambda *asked: 1.01 * right(*asked))
    assert not self_check._nufft("sparse", CPU)[1]


def test_one_that_raises_is_found_and_the_check_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*asked: object) -> None:
        raise ImportError("libcudart.so.12: cannot open\nmore")

    monkeypatch.setattr(self_check, "make_nufft", cannot)
    monkeypatch.setattr(self_check, "_fits", lambda device: ("as on the CPU", True))
    found = [finding for finding in self_check.self_check("cpu") if finding.name.startswith(("NUFFT", "fit"))]
    assert found[0] == Finding("NUFFT compiled", "ImportError: libcudart.so.12: cannot open", False)
    assert found[-1].name == "fit" and found[-1].right


@pytest.mark.usefixtures("small")
def test_a_fit_that_differs_from_that_of_the_cpu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "SCORE_DB", 0.0)
    assert not self_check._fits(CPU)[1]
