"""Train an encoder of frames: frame triples of simulated reconstructions in, the true frames out.

    python -m dainr.pretrained.train --work FOLDER [--network mdsr] [--scenes 200] [--steps 3000] [-o FILE]

Scenes, pairs, batches and first weights follow from seeds. What is done lies in FOLDER, and the same command goes on
from there. Three successive frames of magnitudes are the network's three colours; its output is the same three frames.
Each stage of reconstruction has a scale of the multi-scale network, whose pre-processing is its own; other networks see
all stages alike. The MDSR that ships was made so; several networks share the pairs of one FOLDER.
"""

import argparse
import csv
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import tomli_w
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from dainr.machine.checksum import file_sha256
from dainr.networks.encoders import ENCODERS, Encoder
from dainr.networks.encoders.mdsr import STAGES
from dainr.networks.restorer import restore_triples
from dainr.networks.unrolled.file import is_network, read_network
from dainr.networks.weights import MANIFEST, SUPER_RESOLUTION, restoring

from .pairs import make_pairs

PATCH, BATCH = 48, 12
SHARES = {"fitted": 0.6, "iterated": 0.25, "gridded": 0.15}  # of the steps
WEIGHTS = {"fitted": 1.0, "iterated": 0.6, "gridded": 0.2}  # of the loss, about the inverse of the error
N_VALIDATION = 4
LEARNING_RATE, WARM_UP = 4e-4, 50
REPORT_EVERY, SAVE_EVERY = 50, 250

Pair = tuple[np.ndarray, np.ndarray]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pairs that are missing, train from where the last call stopped, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--network", choices=list(ENCODERS), default="mdsr")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--output", type=Path, help="instead of NETWORK_cine.safetensors")
    asked = parser.parse_args(arguments)
    output = asked.output or Path(f"{asked.network}_cine.safetensors")
    folder = asked.work / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(asked.processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        files = list(pool.map(partial(make_pairs, folder=folder), range(asked.scenes)))
    scenes = [_read(path) for path in files]
    network = train(scenes, asked.steps, torch.device(asked.device), asked.work, asked.network)
    save_file(shipped_tensors(network), output, restoring(asked.network))
    of_which = "" if asked.network == "mdsr" else f" --network {asked.network}"
    write_manifest(output, f"pretrained/train.py{of_which} --scenes {asked.scenes} --steps {asked.steps}")


def write_manifest(weights: Path, source: str) -> None:
    """Their entry in the manifest beside them: their checksum, how they were made, under which licence."""
    checksum = file_sha256(weights)
    entry = {"source": source, "source_sha256": checksum, "licence": "MIT", "sha256": checksum}
    if is_network(weights):
        entry["method"] = read_network(weights).method
    manifest = weights.with_name(MANIFEST)
    others = tomllib.loads(manifest.read_text("utf-8")) if manifest.is_file() else {}
    manifest.write_text(tomli_w.dumps(others | {weights.stem: entry}), encoding="utf-8")


def train(
    scenes: list[dict[str, np.ndarray]], steps: int, device: torch.device, work: Path, kind: str = "mdsr"
) -> Encoder:
    """The network after `steps` steps; a line of its curve every few, a checkpoint to go on from less often."""
    network = first_network(kind).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = [p for name, p in network.named_parameters() if not name.startswith(SUPER_RESOLUTION)]
    optimiser = torch.optim.Adam(parameters, betas=(0.9, 0.99))
    own = "" if kind == "mdsr" else f"{kind}_"
    checkpoint, done = work / f"{own}checkpoint.pt", 0
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        done = saved["step"]
    training, validation, started, losses = scenes[N_VALIDATION:], scenes[:N_VALIDATION], time.perf_counter(), []
    for step in range(done, steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        stage, degraded, true = draw_batch(training, step)
        optimiser.zero_grad()
        predicted = restore_triples(network, degraded.to(device), STAGES[stage])
        loss = WEIGHTS[stage] * functional.l1_loss(predicted, true.to(device))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 0.1)
        optimiser.step()
        losses.append(float(loss.detach()))
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}
            torch.save(state, work / "checkpoint.tmp")
            (work / "checkpoint.tmp").replace(checkpoint)
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == steps:
            gains = validate(network, validation, device) if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps else {}
            _report(work / f"{own}curve.csv", step + 1, time.perf_counter() - started, float(np.mean(losses)), gains)
            losses.clear()
    return network


def first_network(kind: str = "mdsr") -> Encoder:
    """A network that returns its input: three features carry the colours, what is added to them begins near zero."""
    torch.manual_seed(0)
    network = ENCODERS[kind]()
    head, tail = network.head[0], network.tail[0]
    assert isinstance(head, nn.Conv2d) and isinstance(tail, nn.Conv2d) and tail.bias is not None
    with torch.no_grad():
        for colour in range(3):
            head.weight[colour] = 0
            head.weight[colour, colour, 1, 1] = 1
            tail.weight[colour] *= 0.1
            tail.weight[colour, colour, 1, 1] = 1
        nn.init.zeros_(head.bias[:3])  # type: ignore[index]
        nn.init.zeros_(tail.bias)
        for body in (part for name, part in network.named_modules() if name.split(".")[-1] == "body"):
            last = list(body.children())[-1]  # what a residual block adds, and what the trunk adds to the head's output
            if isinstance(last, nn.Conv2d | nn.Linear):
                for parameter in last.parameters():
                    parameter.mul_(0.1)
    return network


def learning_rate(step: int, steps: int) -> float:
    """Rising at first, then along a cosine to a hundredth."""
    falling = 0.01 + 0.99 * np.cos(0.5 * np.pi * step / steps) ** 2
    return float(LEARNING_RATE * min(1, (step + 1) / WARM_UP) * falling)


def draw_batch(scenes: list[dict[str, np.ndarray]], step: int) -> tuple[str, Tensor, Tensor]:
    """The stage of a step and its patches, degraded and true, turned, mirrored and played backwards at random."""
    random = np.random.default_rng([1, step])
    stage = str(random.choice(list(SHARES), p=list(SHARES.values())))
    pairs = [_patch(scenes[random.integers(len(scenes))], stage, random) for _ in range(BATCH)]
    degraded, true = (torch.from_numpy(np.stack(side).astype(np.float32)) for side in zip(*pairs, strict=True))
    return stage, degraded, true


def _patch(scene: dict[str, np.ndarray], stage: str, random: np.random.Generator) -> Pair:
    n_frames, ny, nx = scene["truth"].shape
    frames = (random.integers(n_frames) + np.arange(-1, 2)) % n_frames
    top, left = random.integers(ny - PATCH + 1), random.integers(nx - PATCH + 1)
    pair = [scene[name][frames, top : top + PATCH, left : left + PATCH] for name in (stage, "truth")]
    for axis in range(3):
        if random.uniform() < 0.5:
            pair = [np.flip(patch, axis) for patch in pair]
    if random.uniform() < 0.5:
        pair = [patch.swapaxes(1, 2) for patch in pair]
    gain = random.uniform(0.8, 1.25)
    return gain * pair[0], gain * pair[1]


@torch.no_grad()
def validate(network: Encoder, scenes: list[dict[str, np.ndarray]], device: torch.device) -> dict[str, float]:
    """Gain in PSNR (dB) where the tenth of the pixels that changes most lies, by stage, mean over scenes."""
    gains: dict[str, float] = {}
    for stage, scale in STAGES.items():
        each = []
        for scene in scenes:
            frames, truth = torch.from_numpy(scene[stage]).to(device).float(), scene["truth"].astype(np.float32)
            triples = torch.stack([frames.roll(1, 0), frames, frames.roll(-1, 0)], 1)
            restored = restore_triples(network, triples, scale)[:, 1].cpu().numpy()
            moves = truth.std(0) >= np.quantile(truth.std(0), 0.9)
            before, after = (np.square(x - truth)[:, moves].mean() for x in (scene[stage].astype(np.float32), restored))
            each.append(10 * np.log10(before / after))
        gains[stage] = float(np.mean(each))
    return gains


def shipped_tensors(network: Encoder) -> dict[str, Tensor]:
    """The trained tensors in half precision, by their names in the network."""
    tensors = network.state_dict().items()
    return {name: value.half().cpu().contiguous() for name, value in tensors if not name.startswith(SUPER_RESOLUTION)}


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def _report(path: Path, step: int, seconds: float, loss: float, gains: dict[str, float]) -> None:
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "seconds", "loss", *(f"{stage}_gain_db" for stage in STAGES)])
        writer.writerow([step, f"{seconds:.0f}", f"{loss:.5f}", *(f"{gains[s]:.3f}" if gains else "" for s in STAGES)])


if __name__ == "__main__":
    main()
