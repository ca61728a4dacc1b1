import os

import numpy as np
import pytest
import torch

from dainr import __version__
from dainr.operators.nufft import available_backends

from . import succeed


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
