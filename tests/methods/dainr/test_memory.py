"""Memory of a fit on a GPU: what is counted from its shapes is what its tensors take."""

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dainr.kernels.compiling import plain_torch
from dainr.methods import configure
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.memory import count_parts, fit_bytes, frames_at_once
from dainr.methods.dainr.method import Dainr
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.conftest import TINY, TINY_PAPER
from tests.helper import repeated

CUDA = torch.device("cuda:1")


class Held(TorchDispatchMode):
    """The most bytes that all tensors made within it held at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if not isinstance(tensor, torch.Tensor):
                continue
            sparse = tensor.layout == torch.sparse_csr
            for part in (tensor.crow_indices(), tensor.col_indices(), tensor.values()) if sparse else (tensor,):
                self._see(part.untyped_storage())
        return out

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key not in self.sizes:
            self.sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self.sizes.pop(key)


def scan_of(**changes: Any) -> Scan:
    return simulate_phantom(SimulationConfig(**{"spokes": 7, "frames": 8, "coils": 4, "matrix": 48} | changes))


@pytest.mark.parametrize(
    ("changes", "pairs"),
    [
        ({}, (*TINY, "coarse_steps=0")),
        ({"coils": 8}, (*TINY, "coarse_steps=0")),
        ({"matrix": 64, "frames": 5}, (*TINY, "coarse_steps=0")),
        ({}, (*TINY, "coarse_steps=0", "frames_at_once=3")),
        ({}, TINY_PAPER),
    ],
)
def test_what_is_counted_is_what_a_fit_holds(changes: dict[str, Any], pairs: tuple[str, ...]) -> None:
    """By the operations a GPU would do, on the CPU."""
    scan = scan_of(**changes)
    config = build_config(DainrConfig, {}, [*pairs, "device=cpu", "nufft=sparse", "iterations=4", "validate_every=2"])
    with plain_torch():
        config, _ = Dainr().resolve(scan, config)
        with Held() as held:
            Dainr()(scan, config)
    assert 0.7 * held.most < fit_bytes(scan, config) < 1.6 * held.most


@pytest.mark.parametrize("pairs", [(*TINY, "coarse_steps=1"), TINY_PAPER])
def test_a_stack_takes_the_memory_of_a_slice(pairs: tuple[str, ...]) -> None:
    """Nothing of a slice that is done stays where it was fitted."""
    one = scan_of(frames=4, matrix=24, coils=2).changed(reference=None)
    config = build_config(DainrConfig, {}, [*pairs, "device=cpu", "nufft=sparse", "iterations=2", "validate_every=1"])
    most = []
    for scan in (one, repeated(one, 2)):
        with plain_torch(), Held() as held:
            Dainr()(scan, config)
        most.append(held.most)
    assert most[1] < 1.05 * most[0]


def test_a_fit_needs_more_with_more_of_everything() -> None:
    config = configure("dainr", "default")[1]
    least = fit_bytes(scan_of(), config)
    more = ({"spokes": 9}, {"frames": 10}, {"coils": 6}, {"matrix": 64})
    assert all(fit_bytes(scan_of(**one), config) > least for one in more)
    assert fit_bytes(scan_of(), replace(config, subframes=2)) > least
    fewer = replace(config, fit=replace(config.fit, frames_at_once=2))
    assert fit_bytes(scan_of(coils=16), fewer) < fit_bytes(scan_of(coils=16), config)
    assert fit_bytes(scan_of(), configure("grasp", None)[1]) < least


def test_a_step_renders_as_many_frames_as_half_of_the_free_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    scan, config = scan_of(coils=16, matrix=64, spokes=5), configure("dainr", "default")[1]
    parts = count_parts(scan, config)
    free = {"cuda:1": 0}
    monkeypatch.setattr("dainr.methods.dainr.memory.memory_bytes", lambda device: free[str(device)])
    rooms = {0: 2, parts.of(2): 2, parts.of(3) - 1: 2, parts.of(3): 3, parts.of(5): 5, parts.of(0): 8, 2**40: 8}
    for room, frames in rooms.items():
        free["cuda:1"] = 2 * room
        assert frames_at_once(scan, config, CUDA) == frames
