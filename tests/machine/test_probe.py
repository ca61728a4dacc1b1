"""A GPU that is seen and cannot be used is left aside, or refused where it is named."""

import logging
from collections.abc import Iterator

import pytest
import torch

from dainr.errors import MissingBackend
from dainr.machine.device import resolve_device
from dainr.machine.probe import why_unusable

TOO_OLD = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be ..."


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    why_unusable.cache_clear()
    yield
    why_unusable.cache_clear()


@pytest.fixture
def too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that torch sees and has no code for."""

    def fail(*_: object, device: str) -> None:
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", fail)


def test_auto_leaves_it_aside_and_says_why(too_old: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert resolve_device("auto") == torch.device("cpu")
    assert "the GPU is left aside: CUDA error: no kernel image is available" in caplog.text


def test_by_name_it_is_refused(too_old: None) -> None:
    with pytest.raises(MissingBackend, match=r"this torch cannot use it \(CUDA error: no kernel image"):
        resolve_device("cuda:0")


def test_a_device_that_works_and_one_that_is_full_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_unusable("cpu") is None
    why_unusable.cache_clear()

    def fail(*_: object, device: str) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "ones", fail)
    assert why_unusable("cpu") is None
