"""Stages measure what they say, on small phantoms, and call wrong what is wrong."""

import json
import warnings
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from benchmarks.gpu import fits, grids, many, marked, one_step, parity, passes, plan, transforms
from benchmarks.gpu.stage import Result, Scope, figure
from benchmarks.gpu.steps import begin, kernels, take_steps
from dainr.kernels.compiling import chosen
from dainr.operators.nufft.sparse import SparseNufftOperator
from dainr.simulate import simulate_phantom


def test_the_most_important_comes_first(scope: Scope) -> None:
    assert [*plan.STAGES][:3] == ["card", "parity", "tests"]
    on_gpu = Scope("cuda", False, scope.out)
    cases = plan.planned(on_gpu)
    assert len({(stage.name, case) for stage, case in cases}) == len(cases)
    usual = sum(stage.usual_s for stage, _ in cases)
    assert usual < 25 * 60
    assert all(stage.usual_s < stage.limit_s <= 540 for stage in plan.STAGES.values())


def test_a_step_in_plain_torch_is_that_of_the_compiled_kernels(scope: Scope) -> None:
    result = parity.measure("phantom fast sparse", scope)
    assert parity.faults({"a": result}) == []
    assert 0 < result["plain_gradient"] < parity.GRADIENT
    assert result["same_bits"]
    json.dumps(result)


def test_a_wrong_operator_shows_in_the_step(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    right = SparseNufftOperator.measure
    monkeypatch.setattr(SparseNufftOperator, "measure", lambda *asked: 1.02 * right(*asked))
    (own, plain) = parity.faults({"phantom fast sparse": parity.measure("phantom fast sparse", scope)})
    assert own.startswith("parity: phantom fast sparse: ")
    assert "plain torch" in plain


def test_differences_that_are_no_numbers_are_faults() -> None:
    one = torch.ones(2)
    assert parity.differences((1.0, {"a": one * torch.nan}), (1.0, {"a": one})) == (0.0, torch.inf, (torch.inf, "a"))
    assert parity.differences((torch.nan, {"a": one}), (1.0, {"a": one}))[0] == torch.inf
    with pytest.raises(ValueError, match=r"reach other parameters: \['b'\]"):
        parity.differences((1.0, {"a": one}), (1.0, {"a": one, "b": one}))


def test_steps_are_those_of_the_fit(scope: Scope) -> None:
    seen: list[str] = []

    class Around:
        def __enter__(self) -> None:
            seen.append("begun")

        def __exit__(self, *raised: object) -> None:
            seen.append("ended")

    fit, _ = begin(simulate_phantom(scope.phantom()), "fast", "cpu", ["nufft=sparse"])
    steps, seconds = take_steps(fit, 2, 3, Around)
    assert seen == ["begun", "ended"]
    assert steps >= 3 and seconds > 0
    assert len(fit.state.losses) >= 5


def test_a_profile_counts_per_step(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WARM", "TIMED", "PROFILED"):
        monkeypatch.setattr(one_step, name, 1)
    result = one_step.measure("fast sparse", scope)
    assert result["ms"] > 0
    assert result["operations"] > 100
    assert "| fast sparse |" in one_step.show({"fast sparse": result})


def event(key: str, count: int, kind: str = "DeviceType.CPU", took: float = 0.0) -> Any:
    return SimpleNamespace(key=key, count=count, device_type=kind, self_device_time_total=took)


def test_launches_waits_and_kernels_are_counted() -> None:
    events = [
        event("aten::add", 10),
        event("cudaLaunchKernel", 8),
        event("cuLaunchKernelEx", 2),
        event("cudaGraphLaunch", 4),
        event("cudaStreamSynchronize", 6),
        event("cudaDeviceSynchronize", 1),
        event("cudaMemcpyAsync", 2),
        event("add_kernel", 8, "DeviceType.CUDA", 3000.0),
    ]
    found = one_step.counts(events, 2)
    assert {key: found[key] for key in ("operations", "launches", "graphs", "waits", "copies", "gpu_ms")} == {
        **{"operations": 5, "launches": 5, "graphs": 2, "waits": 3, "copies": 1, "gpu_ms": 1.5}
    }
    assert found["longest"] == [{"kernel": "add_kernel", "times": 4, "ms": 1.5}]
    assert "| `add_kernel` | 4 | 1.5 |" in one_step.show({"a": found | {"lines": {"loop.py:9": 2}}})


def test_backends_are_compared_with_the_cpu(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    result = transforms.measure("sparse", scope)
    assert transforms.faults({"sparse": result}) == []
    assert 0 < result["error"] < 1e-4
    assert transforms.faults({"sparse": result | {"adjoint_error": 0.2}}) == ["transforms: sparse is off by 0.2"]


def test_passes_are_compared_with_plain_torch(scope: Scope) -> None:
    result = passes.measure("all", scope)
    assert passes.faults({"all": result}) == []
    assert all(one["ms"] > 0 for one in result.values())
    assert "| warp and gradients |" in passes.show({"all": result})
    wrong = {"warp": result["warp"] | {"error": float("nan"), "same_bits": False}}
    assert passes.faults({"all": wrong}) == ["passes: warp is off by nan", "passes: warp has other bits each time"]
    json.dumps(result)


def a_fit(**changed: Any) -> Result:
    figures = {"psnr": 36.0, "heldout": 0.1, "fit_s": 2.0, "command_s": 4.0, "memory_mb": 900, "same_bits": True}
    return figures | changed


def test_fits_of_a_gpu_end_where_those_of_the_cpu_do() -> None:
    here = {"sax13 default cpu": a_fit()}
    assert fits.faults(here | {"sax13 default cuda": a_fit(psnr=36.2)}) == []
    assert fits.faults(here | {"sax13 default cuda": a_fit(psnr=35.0, heldout=0.2)}) == [
        "fits: sax13 default: 35.0 dB, and 36.0 dB on the CPU",
        "fits: sax13 default: held-out error 0.2000, and 0.1000 on the CPU",
    ]
    assert fits.faults(here | {"sax13 default cuda": a_fit(psnr=float("nan"))}) != []


def test_targets_stand_beside_what_was_measured() -> None:
    shown = fits.show({"phantom default cuda": a_fit(), "phantom default cpu": a_fit()})
    assert "| phantom default cuda, fit s | 1.5 | 2 | no |" in shown
    assert "| phantom default cuda, command s | 5 | 4 | yes |" in shown
    assert "phantom default cpu, fit s" not in shown


def test_a_batch_with_a_case_that_failed_is_a_fault() -> None:
    result = {"seconds": 10.0, "per_case": 1.0, "done": 7, "why": "out of memory"}
    assert many.faults({"8 1 8": result}) == ["batch: 8 1 8: out of memory"]


def test_what_pytest_says_is_read() -> None:
    said = (
        "..F\nFAILED tests/a.py::test_b - assert\nERROR tests/c.py\n1 failed, 12 passed, 3 skipped, 1 error in 2.00s\n"
    )
    result = marked.count(said)
    assert [result[kind] for kind in marked.COUNTS] == [12, 1, 3]
    assert marked.faults({"a": result | {"on_cuda": True}}) == ["tests: tests/a.py::test_b failed"]
    assert "tests/c.py" in marked.show({"a": result})
    nothing = marked.count("57 skipped in 1.00s") | {"on_cuda": True}
    assert marked.faults({"a": nothing}) == ["tests: a: not one passed"]


def test_tiny_cuda_nn_is_left_out_where_it_cannot_be_imported(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(name: str) -> None:
        raise OSError("Could not find compatible tinycudann extension\nmore")

    monkeypatch.setattr(grids.importlib, "import_module", cannot)
    left_out = grids.measure("tinycudann", scope)["left_out"]
    assert left_out == "it cannot be imported: Could not find compatible tinycudann extension"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "yes"), (False, "no"), (0.12345, "0.123"), (12.3456, "12.35"), (1234.5, "1234"), ("a", "a")],
)
def test_figures_are_short(value: object, text: str) -> None:
    assert figure(value) == text


def test_files_that_take_a_gpu_where_there_is_one_are_found() -> None:
    names = [name.rpartition("/")[2] for name in marked.files()]
    assert {"test_cuda.py", "test_cuda_step.py"} <= {*names}
    assert "test_stages.py" not in names


def test_lines_that_wait_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def steps(fit: object, warm: int, n: int, around: Any) -> None:
        with around():
            for _ in range(2):
                warnings.warn_explicit("called a synchronizing CUDA operation", UserWarning, "dir/loop.py", 9)
            warnings.warn_explicit("another", UserWarning, "dir/loop.py", 10)

    monkeypatch.setattr(one_step, "take_steps", steps)
    assert one_step.synchronising_lines(cast(Any, None)) == {"loop.py:9": 2}
    assert modes == ["warn", "default"]


def test_within_plain_torch_backward_passes_are_plain_too() -> None:
    with kernels(plain=True):
        assert not torch.autograd.is_multithreading_enabled()
        assert chosen(torch.device("cpu"), "plain", cpu="compiled") == "plain"
    assert torch.autograd.is_multithreading_enabled()
    assert chosen(torch.device("cpu"), "plain", cpu="compiled") == "compiled"
