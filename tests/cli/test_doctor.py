import os

import numpy as np
import pytest
import torch

from dainr import __version__
from dainr.operators.nufft import available_backends
from dainr.studies import self_check
from dainr.studies.self_check import Finding

from . import assert_one_error, invoke, succeed


def test_versions_backends_and_devices_are_told() -> None:
    shown = succeed("doctor").stdout.splitlines()
    assert f"dainr {__version__}" in shown
    assert f"torch {torch.__version__}" in shown
    assert f"numpy {np.__version__}" in shown
    assert f"NUFFT backends on cpu: {', '.join(available_backends(torch.device('cpu')))}" in shown
    assert f"OMP_WAIT_POLICY={os.environ['OMP_WAIT_POLICY']}" in shown
    assert any(line.startswith("cpu: ") and f"{torch.get_num_threads()} threads" in line for line in shown)


def test_a_machine_without_cuda_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shown = succeed("doctor").stdout
    assert "cuda: none" in shown
    assert "NUFFT backends on cuda" not in shown


def found(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(self_check, "self_check", lambda device: iter([Finding("device", device), *findings]))


def test_a_checked_gpu_that_is_right_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, Finding("fit", "33 dB"))
    shown = succeed("doctor", "--gpu").stdout.splitlines()
    assert f"dainr {__version__}" in shown
    assert shown[-4:] == ["device: cuda", "fit: 33 dB", "", "cuda computes what the CPU does."]


def test_a_checked_gpu_that_is_wrong_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, Finding("fit", "20 dB", False))
    ended = invoke("doctor", "--gpu", "--device", "cuda:1")
    assert ended.exit_code == 1
    assert "fit: 20 dB  <- wrong" in ended.stdout
    assert ended.stderr == "1 of this is wrong: do not fit on cuda:1.\n"


def test_a_device_is_named_only_to_be_checked() -> None:
    assert_one_error(invoke("doctor", "--device", "cpu"), 2)
