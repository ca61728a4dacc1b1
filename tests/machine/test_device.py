"""Memory and time are those of the device in use, by stand-ins for torch's functions."""

import pytest
import torch

from dainr.machine.device import memory_bytes, peak_memory_mb, reset_peak_memory, synchronise

SECOND = torch.device("cuda:1")


def test_memory_of_a_device_is_what_is_free_or_torchs_and_not_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (500, 8000) if device == SECOND else (0, 0))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 300 if device == SECOND else 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200 if device == SECOND else 0)
    assert memory_bytes(SECOND) == 600


def test_the_peak_is_reset_and_read_on_the_device_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2**21 if device == SECOND else 0)
    reset_peak_memory("cuda:1")
    reset_peak_memory("cpu")
    assert reset == [SECOND]
    assert peak_memory_mb("cuda:1") == 2


def test_the_device_in_use_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    synchronise(SECOND)
    synchronise(torch.device("cpu"))
    assert waited == [SECOND]
