"""Every command that writes, and a folder for them: results of other settings lie in it, beside files of the user's."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import write_phantom
from benchmarks.crash_forked import Kill, forked, warm
from dainr.io.images.cine import read_cine
from dainr.io.images.nifti import write_maps
from dainr.networks.weights import load_encoder
from dainr.simulate import SimulationConfig

SMALL = SimulationConfig(matrix=24, frames=4, coils=2)
OF_A_RUN = r"(cine\.h5|report\.html|run\.json|log\.jsonl|dainr\.json|config\.toml|(state|features).*\.safetensors)"
SETTINGS = ("-q", "--device", "cpu", "--set", "nufft=compiled", "--set", "checkpoint_every_s=0")
QUICK = (*SETTINGS, "--set", "encoder=none")
FIT = ("--iterations", "8", *QUICK)
NETWORK = ("--method", "crnn", "--set", "channels=2", "--set", "cascades=2", "--set", "holdout=0.2", *SETTINGS)
TRAIN = ("--iterations", "4", "--set", "validate_every=2", *NETWORK)
SCENES = ("--matrix", "24", "--frames", "3", "--coils", "2", "--jobs", "1", "-q")
RING = ("--centre", "12,12", "--radii", "30,90")
EXPORTS = (".h5", ".npy", ".nii.gz", ".mp4", ".gif", ".png", ".cfl", ".mrd", "_dicom")
CONVERSIONS = (("scan.h5", "converted.h5"), ("scan.h5", "converted.mrd"), ("bart_ksp.cfl", "converted.h5"))


@dataclass(frozen=True)
class Attack:
    """A command, run where `prepare` has been; once the file `begun` is there, it goes on by `resumed`.

    `passing`: patterns of files that may be gone or others while it is under way; at its end they may not. `by_clock`:
    of those whose content follows from how long something took.
    """

    name: str
    command: tuple[str, ...]
    passing: tuple[str, ...] = ()
    weight: float = 1.0  # of the share of others in the kills
    begun: str = ""
    resumed: tuple[str, ...] = ()
    by_clock: tuple[str, ...] = ()

    def again(self, work: Path) -> tuple[str, ...]:
        """How it is run once more."""
        return self.resumed if self.begun and (work / self.begun).is_file() else self.command


def attacks() -> list[Attack]:
    """Every command that writes, where results lie already."""
    exports = [Attack(f"export {s}", ("export", "run", f"cine{s}", "--force"), weight=0.8) for s in EXPORTS]
    methods = ("--methods", "gridding,cg-sense", "--set", "nufft=compiled")  # auto: the one that is faster just then
    compare = ("compare", "scan.h5", "-o", "page.html", "--force", "-q", *methods)
    batch = ("batch", "scans", "-o", "out", "--iterations", "3", *QUICK, "--export", ".nii.gz", "--export", "dicom")
    simulate = ("simulate", "simulated.h5", "--force", "--matrix", "24", "--frames", "4", "--coils", "2")
    scenes = ("simulate", "scenes", "--scenes", "3", "--force", *SCENES)
    return [
        *exports,
        *(Attack(f"convert {a} {b}", ("convert", a, b, "--force")) for a, b in CONVERSIONS),
        Attack("simulate --force", simulate),
        Attack("simulate --scenes", scenes, (r"scenes/scene_.*\.h5",)),
        Attack("report", ("report", "run")),
        Attack("report --repair", ("report", "broken", "--repair")),
        Attack("motion", ("motion", "run", "motion.nii.gz", "--from", "0", "--force")),
        Attack("strain", ("strain", "run", "strain", *RING, "--force")),
        Attack("propagate", ("propagate", "run", "cavity.nii.gz", "labels", "--force")),
        Attack("weights import", ("weights", "import", "mine.pt", "--force"), (r"weights/manifest\.toml",)),
        *_fits(),
        Attack("batch", batch, (rf"out/[ab]/{OF_A_RUN}", r"out/\.cases/.*\.json"), 0.6),
        *_studies(),
        Attack("compare", compare, weight=0.8),
    ]


def _fits() -> list[Attack]:
    resume = ("fit", "scan.h5", "-q", "--resume", "-o")
    new, again = ("fit", "scan.h5", "-o", "new", *FIT), ("fit", "scan.h5", "-o", "run", "--force", *FIT)
    return [
        Attack("fit", new, (f"new/{OF_A_RUN}",), 1.0, "new/config.toml", (*resume, "new")),
        Attack("fit --force", again, (f"run/{OF_A_RUN}",)),
        Attack("fit --resume", (*resume, "half"), (f"half/{OF_A_RUN}",)),
    ]


def _studies() -> list[Attack]:
    """Tuning and training."""
    tune = ("tune", "scan.h5", "-o", "tuned.toml", "--force", *QUICK)
    search = (*tune, "--trials", "2", "--set", "fit.iterations=5")
    new, again = ("train", "scans", "-o", "new.safetensors"), ("train", "scans", "-o", "net.safetensors", "--force")
    return [
        Attack("tune", (*tune, "--budgets", "0.1s,0.2s"), weight=0.8, by_clock=(r"tuned\.(toml|html)",)),
        Attack("tune --trials", search, (r"tuned\.study",), 0.8),
        Attack(
            "train", (*new, *TRAIN), (r"new_training/.*",), 0.8, "new_training/training.toml", (*new, "-q", "--resume")
        ),
        Attack("train --force", (*again, *TRAIN), (r"net_training/(?!notes).*",), 0.8),
    ]


def prepare(folder: Path) -> Path:
    """Scans, runs and results of other settings than the commands', with files of the user's among them.

    What an earlier call has made there is used again.
    """
    if (made := folder / "prepared").is_dir():
        return made
    prepared = folder / "preparing"
    (prepared / "scans").mkdir(parents=True)
    scan = write_phantom(prepared, "scan", SMALL)
    shutil.copy(scan, prepared / "scans" / "a.h5")
    _bart(prepared)
    other = ("--seed", "1", "--matrix", "24", "--frames", "5", "--coils", "2")
    commands = [
        ("simulate", "scans/b.h5", *other, "-q"),
        ("fit", "scan.h5", "-o", "run", *FIT, "--set", "seed=1"),
        ("batch", "scans", "-o", "out", "--iterations", "2", *QUICK, "--export", ".nii.gz", "--export", "dicom"),
        *(("export", "run", f"cine{suffix}", "--frames", "3") for suffix in EXPORTS),
        *(("simulate", name, *other) for name in ("simulated.h5", "converted.h5", "converted.mrd")),
        ("simulate", "scenes", "--scenes", "2", "--seed", "1", *SCENES),
        ("tune", "scan.h5", "-o", "tuned.toml", *QUICK, "--budgets", "0.05s,0.1s"),
        ("train", "scans", "-o", "net.safetensors", *NETWORK, "--iterations", "2", "--set", "seed=1"),
        ("compare", "scan.h5", "-o", "page.html", "-q", "--methods", "gridding"),
        ("weights", "import", "mine.pt"),
        ("motion", "run", "motion.nii.gz"),
        ("strain", "run", "strain", *RING, "--frame", "1"),
        ("propagate", "run", "cavity.nii.gz", "labels", "--frame", "1"),
    ]
    torch.save(load_encoder("mdsr", "random", 1).state_dict(), prepared / "mine.pt")
    for command in commands:
        if command[0] == "propagate":
            _cavity(prepared)
        if (ended := forked(command, prepared)).code:
            raise SystemExit(f"{' '.join(command)}: {ended}")
        warm(ended.modules)
    torch.save(load_encoder("mdsr", "random", 0).state_dict(), prepared / "mine.pt")
    (prepared / "run" / "report.html").write_text("<html>an old report</html>")
    _broken(prepared)
    half = ("fit", "scan.h5", "-o", "half", *FIT)
    count = forked(half, prepared).changes
    shutil.rmtree(prepared / "half")
    forked(half, prepared, Kill(at_change=count // 2))
    for place in ("", "scans", "run", "out", "half", "weights", "scenes", "net_training", "broken", "strain", "labels"):
        (prepared / place / "notes.txt").write_text(f"the user's, in {place}")
    return prepared.rename(made)


def _cavity(folder: Path) -> None:
    """A label drawn on the run's images."""
    cine = read_cine(folder / "run" / "cine.h5")[0]
    drawn = np.zeros(cine.data.shape, np.uint8)
    drawn[..., 9:15, 9:15] = 1
    write_maps(drawn, cine, folder / "cavity.nii.gz")


def _broken(folder: Path) -> None:
    """A run that has lost its marker, its verdict and half of its report."""
    shutil.copytree(folder / "run", folder / "broken")
    (folder / "broken" / "dainr.json").unlink()
    (folder / "broken" / "report.html").write_text("half of a report</html>")
    record = json.loads((folder / "broken" / "run.json").read_text(encoding="utf-8"))
    (folder / "broken" / "run.json").write_text(json.dumps(record | {"verdict": []}), encoding="utf-8")


def _bart(folder: Path) -> None:
    """Cartesian k-space in BART's files."""
    import numpy as np

    from dainr.io.scans.bart import write_cfl

    draw = np.random.default_rng(0).normal
    kspace = np.zeros((16, 16, 1, 2, *[1] * 6, 4), np.complex64)
    kspace[:, ::2] = draw(size=kspace[:, ::2].shape) + 1j * draw(size=kspace[:, ::2].shape)
    write_cfl(folder / "bart_ksp", kspace)
