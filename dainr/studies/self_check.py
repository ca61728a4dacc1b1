"""A short check of a device: what it is, and whether it computes what the processor computes.

Findings come one by one, each a sentence and whether it is as it should be; one that raises is one that is not.
"""

import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata

import numpy as np
import torch
from torch import Tensor

from dainr.assess.scores import evaluate
from dainr.machine.device import device_name, resolve_device
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr
from dainr.operators.nufft import available_backends, make_nufft
from dainr.settings.build import build_config
from dainr.settings.presets import DEFAULT_PRESET, read_preset
from dainr.simulate import SimulationConfig, simulate_phantom

log = logging.getLogger(__name__)

POINTS, MATRIX, COILS = 400, (30, 40), 3  # of the NUFFT that is tried
NUFFT_ERROR = 1e-3  # relative, of samples and of images
PROBE = 2**20  # numbers
PROBE_ERROR = 1e-5
PHANTOM = SimulationConfig(matrix=64, frames=8, coils=4)
STEPS = 40
SCORE_DB, HELDOUT = 0.5, 0.03  # a fit on one device differs by no more from that on another


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and whether that is right."""

    name: str
    text: str
    right: bool = True


def self_check(name: str) -> Iterator[Finding]:
    """Facts of a device, a probe of its arithmetic, its NUFFT backends, and a small fit beside one on the CPU.

    Takes a minute or two where the loops of the CPU are still to be compiled. Raises MissingBackend where there is no
    such device.
    """
    device = resolve_device(name)
    yield from (Finding(fact, text) for fact, text in device_facts(device).items())
    yield _tried("arithmetic", lambda: _probe(device))
    for backend in available_backends(device):
        yield _tried(f"NUFFT {backend}", lambda backend=backend: _nufft(backend, device))  # type: ignore[misc]
    yield _tried("fit", lambda: _fits(device))


def device_facts(device: torch.device) -> dict[str, str]:
    """Name, memory, compute capability and driver of a device, and the versions of what computes on it."""
    facts = {"device": f"{device}, {device_name(str(device))}"}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        free, total = torch.cuda.mem_get_info(device)
        facts["compute capability"] = f"{properties.major}.{properties.minor}"
        facts["memory"] = f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} free"
        facts["multiprocessors"] = str(properties.multi_processor_count)
        facts["driver"] = _driver() or "nvidia-smi does not say"
        facts["CUDA of torch"] = str(torch.version.cuda)
    return facts | {package: found for package in ("torch", "triton", "cufinufft") if (found := _version(package))}


def _driver() -> str:
    """The driver's version, where its tool is there to say it."""
    if shutil.which("nvidia-smi") is None:
        return ""
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip().splitlines()[0]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _tried(name: str, look: Callable[[], tuple[str, bool]]) -> Finding:
    """What a look found; whatever it raises is found, too."""
    started = time.perf_counter()
    try:
        text, right = look()
    except Exception as error:
        log.debug("%s", name, exc_info=True)
        lines = str(error).strip().splitlines() or [""]
        return Finding(name, f"{type(error).__name__}: {lines[0]}", False)
    return Finding(name, f"{text}, {time.perf_counter() - started:.1f} s", right)


def _probe(device: torch.device) -> tuple[str, bool]:
    """A transform and a sum over numbers whose result is known."""
    x = torch.arange(PROBE, dtype=torch.float32, device=device).remainder(7)
    back = torch.fft.ifft(torch.fft.fft(x)).real
    error = _relative(back.cpu(), x.cpu())
    return f"a Fourier transform and back: relative error {error:.1g}", error < PROBE_ERROR


def _nufft(backend: str, device: torch.device) -> tuple[str, bool]:
    """Samples and images by a backend beside the sums that define them."""
    random = np.random.default_rng(0)
    points = random.uniform(-0.5, 0.5, (POINTS, 2))
    images = torch.from_numpy(_complex(random, (1, *MATRIX)))
    maps = torch.from_numpy(_complex(random, (COILS, *MATRIX)))
    y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in MATRIX), indexing="ij")
    phases = np.outer(points[:, 0], y.ravel()) + np.outer(points[:, 1], x.ravel())
    matrix = torch.from_numpy((np.exp(-2j * np.pi * phases) / np.sqrt(y.size)).astype(np.complex64))
    samples = (images * maps).flatten(1) @ matrix.T
    of_images = ((samples @ matrix.conj()).unflatten(1, MATRIX) * maps.conj()).sum(0)
    operator = make_nufft(backend, [points], MATRIX, COILS, device)
    there = maps.to(device)
    measured = operator.measure(images.to(device), there)
    returned, _ = operator.measure_adjoint(samples.to(device), there)
    errors = _relative(measured.cpu(), samples), _relative(returned[0].cpu(), of_images)
    return f"relative error {errors[0]:.1g} of samples, {errors[1]:.1g} of images", max(errors) < NUFFT_ERROR


def _fits(device: torch.device) -> tuple[str, bool]:
    """A small fit on the device beside the same one on the CPU."""
    scan = simulate_phantom(PHANTOM)
    config = build_config(DainrConfig, read_preset(DEFAULT_PRESET), [f"iterations={STEPS}"])
    found = []
    for where in (torch.device("cpu"), device):
        started = time.perf_counter()
        resolved, _ = Dainr().resolve(scan, replace(config, device=str(where)))
        recon = Dainr()(scan, resolved)
        seconds = time.perf_counter() - started
        assert scan.reference is not None
        heldout = recon.record["slices"][0]["fit"]["heldout_error"]
        found.append((seconds, evaluate(recon.cine.data, scan.reference).whole.psnr, heldout))
    (cpu_s, cpu_db, cpu_heldout), (seconds, db, heldout) = found
    right = abs(db - cpu_db) < SCORE_DB and abs(heldout / cpu_heldout - 1) < HELDOUT
    told = f"{db:.2f} dB and held-out error {heldout:.4f} in {seconds:.1f} s"
    return f"{told}; on the CPU {cpu_db:.2f} dB and {cpu_heldout:.4f} in {cpu_s:.1f} s", right


def _complex(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(np.complex64)


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())
