"""The pretrained network on the device: frames restored for the prior of `default`, features for published `paper`."""

import torch

from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns
from benchmarks.gpu.steps import clock, forget_memory, memory
from dainr.networks.condition import trunk_features
from dainr.networks.restorer import Restorer, has_bfloat16
from dainr.networks.weights import load_encoder
from dainr.simulate import simulate_phantom

RESTORER, FEATURES = "restorer", "features"
SIZES = (128, 192, 256)  # pixels a side
ERROR = 2e-2  # relative: one device may compute in bfloat16, and restore all frames where another takes every second
ROUNDS = 5
COLUMNS = {"ms": "ms", "error": "error", "bfloat16": "bfloat16", "torch_mb": "torch MB"}


def cases(scope: Scope) -> list[str]:
    """Network and pixels a side."""
    if scope.small:
        return [f"{RESTORER} 32"]
    return [*(f"{RESTORER} {size}" for size in SIZES), f"{FEATURES} {SIZES[0]}"]


def measure(case: str, scope: Scope) -> Result:
    """Milliseconds for all frames of a phantom, and the relative difference from the CPU."""
    kind, size = case.split()
    scan = simulate_phantom(scope.phantom(matrix=int(size)))
    assert scan.reference is not None
    series, device = torch.from_numpy(scan.reference[0]).to(torch.complex64), torch.device(scope.device)
    forget_memory(device)
    found = [_network(kind, where)(series.to(where)) for where in (torch.device("cpu"), device)]
    network, there = _network(kind, device), series.to(device)
    error = float((found[1].cpu() - found[0]).norm() / found[0].norm())
    taken = clock(lambda: network(there), device, 1 if scope.small else ROUNDS)
    return {"ms": taken, "error": error, "bfloat16": has_bfloat16(device)} | memory(device)


def _network(kind: str, device: torch.device):  # type: ignore[no-untyped-def]
    """A map from a series to what the network makes of it."""
    weights = load_encoder("mdsr", "auto", 0).to(device)
    if kind == RESTORER:
        restorer = Restorer(weights, cyclic=True)
        return lambda series: restorer(series)[0]
    return lambda series: trunk_features(weights, series.abs()).maps.float()


def show(results: Results) -> str:
    """A row for each network and size."""
    return show_columns(results, COLUMNS, "network, pixels a side")


def faults(results: Results) -> list[str]:
    """Networks whose output differs from that on the CPU."""
    return [
        f"networks: {case} is off by {one['error']:.2g}" for case, one in results.items() if not one["error"] <= ERROR
    ]


STAGE = Stage(
    name="networks",
    title="Networks",
    about=(
        f"MDSR on the frames of a phantom: restored, and features. Right is a relative difference from the CPU within"
        f" {ERROR:g}, for one device may compute in bfloat16 and the other not."
    ),
    cases=cases,
    measure=measure,
    show=show,
    faults=faults,
    usual_s=12,
    limit_s=120,
)
