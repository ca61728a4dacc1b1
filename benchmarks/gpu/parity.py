"""Value and gradient of one step beside those of the CPU, for every preset, at several moments of a fit.

Both start from the same prepared slice, parameters, restored frames and easing, so that only the step differs: its
kernels and its NUFFT. The step is taken once with the kernels of the device and once in plain torch, which tells a
wrong kernel from a wrong operator; on a CPU the plain one is the rehearsal.
"""

import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns
from benchmarks.gpu.steps import begin, kernels
from dainr.fields.pointwise import PointwiseField
from dainr.fit.loop import Fit
from dainr.losses import KeepsState
from dainr.operators.nufft import available_backends
from dainr.settings.presets import preset_names

MOMENTS = (0.0, 0.3, 0.7)  # shares of the budget
MOVED = 0.02  # standard deviation by which parameters are moved, so that none is zero
VALUE, GRADIENT = 1e-4, 1e-3  # relative differences; between backends on a CPU they are 4e-6 and 2e-5
LIMITS = {"value": VALUE, "gradient": GRADIENT}
Differences = tuple[float, float, tuple[float, str]]
Value = tuple[float, dict[str, Tensor]]  # and gradient
COLUMNS = {
    "value": "value",
    "gradient": "gradient",
    "plain_value": "value, plain torch",
    "plain_gradient": "gradient, plain torch",
    "worst": "parameter that differs most",
    "same_bits": "same bits twice",
}


def cases(scope: Scope) -> list[str]:
    """Every preset on a phantom of spokes; `default` on the other scans, and with every NUFFT backend."""
    first, *others = ["sparse"] if scope.small else available_backends(torch.device(scope.device))
    presets = [f"phantom {preset} {first}" for preset in sorted(preset_names())]
    scans = [f"{name} default {first if name == 'sax13' else 'fft'}" for name in scope.scans if name != "phantom"]
    return [*presets, *scans, *(f"phantom default {backend}" for backend in others)]


def measure(case: str, scope: Scope) -> Result:
    """The largest relative differences of value and gradient over the moments of a fit."""
    name, preset, backend = case.split()
    with tempfile.TemporaryDirectory() as folder:
        scan = scope.scan(name, Path(folder))
    pairs = [] if backend == "fft" else [f"nufft={backend}"]
    with kernels(plain=False):
        reference, prepared = begin(scan, preset, "cpu", ["nufft=compiled"] if pairs else [])
        _move(reference)
        value_and_gradient(reference, MOMENTS[-1], {})  # restores the frames
        state = _state(reference)
        wanted = [value_and_gradient(reference, moment, state) for moment in MOMENTS]
    found = []
    for plain in (False, True):
        with kernels(plain):
            fit, _ = begin(scan, preset, scope.device, pairs, prepared)
            _take_over(fit, reference)
            found.append([value_and_gradient(fit, moment, state) for moment in MOMENTS])
            if not plain:
                again = [value_and_gradient(fit, moment, state) for moment in MOMENTS]
    own, plain_ones = ([differences(*pair) for pair in zip(some, wanted, strict=True)] for some in found)
    same = all(equal(*pair) for pair in zip(found[0], again, strict=True))
    value, gradient, worst = (max(column) for column in zip(*own, strict=True))
    plain_value, plain_gradient, _ = (max(column) for column in zip(*plain_ones, strict=True))
    return {
        "value": value,
        "gradient": gradient,
        "plain_value": plain_value,
        "plain_gradient": plain_gradient,
        "worst": f"{worst[1]} {worst[0]:.1g}",
        "same_bits": same,
    }


def value_and_gradient(fit: Fit, moment: float, state: dict[str, Tensor]) -> Value:
    """The objective of a step and its gradient by every parameter that it reaches, on the CPU.

    `state` is what the objective knows before the step.
    """
    if isinstance(fit.loss, KeepsState):
        fit.loss.load_state({name: value.clone().to(fit.data.kspace.device) for name, value in state.items()})
    fit.optimiser.zero_grad()
    loss = fit.loss(fit.model, fit.data.batch(fit.stepper.positions(0), moment))
    loss.backward()
    reached = {name: p.grad for name, p in fit.model.named_parameters() if p.grad is not None}
    return float(loss.detach()), {name: gradient.detach().cpu().clone() for name, gradient in reached.items()}


def differences(found: Value, wanted: Value) -> Differences:
    """Relative differences: of the value, of the whole gradient, and of the parameter that differs most."""
    if found[1].keys() != wanted[1].keys():
        raise ValueError(f"gradients reach other parameters: {sorted(found[1].keys() ^ wanted[1].keys())}")
    apart = {name: float((found[1][name] - one).norm()) for name, one in wanted[1].items()}
    size = {name: float(one.norm()) for name, one in wanted[1].items()}
    whole = sum(d**2 for d in apart.values()) ** 0.5 / max(sum(s**2 for s in size.values()) ** 0.5, 1e-30)
    worst = max((_or_infinite(apart[name] / size[name]), name) for name in size if size[name] > 0)
    return _or_infinite(abs(found[0] / wanted[0] - 1)), _or_infinite(whole), worst


def equal(one: Value, other: Value) -> bool:
    """Whether two values and gradients are the same to the last bit."""
    return one[0] == other[0] and all(torch.equal(gradient, other[1][name]) for name, gradient in one[1].items())


def _or_infinite(difference: float) -> float:
    """A difference that counts as the largest where it is no number."""
    return difference if math.isfinite(difference) else math.inf


def _take_over(fit: Fit, reference: Fit) -> None:
    """Give a fit the parameters of another, and its features."""
    fit.model.load_state_dict(reference.model.state_dict())
    if isinstance(reference.model, PointwiseField) and reference.model.features is not None:
        assert isinstance(fit.model, PointwiseField) and fit.model.features is not None
        fit.model.features.maps.copy_(reference.model.features.maps)


@torch.no_grad()
def _move(fit: Fit) -> None:
    random = torch.Generator().manual_seed(1)
    for parameter in fit.model.parameters():
        parameter.add_(MOVED * torch.randn(parameter.shape, generator=random))


def _state(fit: Fit) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in fit.loss.state().items()} if isinstance(fit.loss, KeepsState) else {}


def show(results: Results) -> str:
    """Relative differences from the CPU."""
    return show_columns(results, COLUMNS, "scan, preset, NUFFT")


def faults(results: Results) -> list[str]:
    """Cases beyond the tolerances; bits may differ."""
    found = []
    for case, result in results.items():
        for kind in ("", "plain_"):
            off = [
                f"{what} by {result[kind + what]:.2g}"
                for what, most in LIMITS.items()
                if not result[kind + what] <= most
            ]
            if off:
                found.append(f"parity: {case}{', plain torch' if kind else ''}: {' and '.join(off)} from the CPU's")
    return found


STAGE = Stage(
    name="parity",
    title="One step beside the CPU's",
    about=(
        f"The largest relative differences over {len(MOMENTS)} moments of a fit, from the CPU's compiled kernels and"
        f" NUFFT. Right are values within {VALUE:g} and gradients within {GRADIENT:g}. Bits may differ between two runs"
        " where sums are atomic; that is said, and no fault."
    ),
    cases=cases,
    measure=measure,
    show=show,
    faults=faults,
    usual_s=20,
    limit_s=180,
)
