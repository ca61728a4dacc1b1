"""Weights by name: of feature extractors, drawn from a seed, shipped, installed, or a checkpoint's; of networks.

Weights that `dainr train` made are installed as they are, and listed with their method. The two parts of DISTS's
weights, known by their checksums, are installed under names of their own.

Shipped weights lie in the package `dainr.pretrained`, installed ones in a folder of the user: safetensors files beside
a manifest with a table for each name. A file is checked against its SHA-256 whenever it is used.
"""

import os
import re
import shutil
import tomllib
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import platformdirs
import tomli_w
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dainr.errors import BadRequest
from dainr.io.hdf5 import write_whole
from dainr.machine.checksum import file_sha256
from dainr.machine.kept import kept
from dainr.machine.lock import alone_in
from dainr.networks.dists import SHA256, Dists, part_of, read_part
from dainr.networks.encoders import ENCODERS, MDSR, Encoder
from dainr.networks.unrolled.file import is_network, read_network

RANDOM, AUTO = "random", "auto"
FOLDER_VARIABLE = "DAINR_WEIGHTS"
MANIFEST = "manifest.toml"
SUPER_RESOLUTION = ("sub_mean.", "upsample.", "add_mean.")  # parts that a fit does not use: a file may be without them
RESTORES_FRAMES = {"restores": "frames"}  # metadata of such a file, an MDSR's; others name their network as well
NETWORK, FIRST = "network", "mdsr"
HASH_IN_NAME = re.compile(r"(?<=.)-([0-9a-f]{8,64})$")  # as torch.hub names files: the first digits of their SHA-256


@dataclass(frozen=True)
class Weights:
    """Weights that have a name."""

    name: str
    source: str  # the file they were imported from, or the command that made them
    source_sha256: str
    licence: str
    sha256: str  # of the file installed
    method: str = ""  # that they are of, where they are an unrolled network's
    shipped: bool = False

    @property
    def path(self) -> Path:
        """The file installed."""
        return (shipped_folder() if self.shipped else weights_folder()) / f"{self.name}.safetensors"

    @property
    def repair(self) -> str:
        """The command that puts a damaged file right."""
        again = "git checkout pretrained && pip install --force-reinstall --no-deps ., in a clone of dainr"
        return again if self.shipped else f"dainr weights import {self.source} --force"

    def whole(self) -> bool:
        """Whether that file is there and as it was written."""
        return self.path.is_file() and file_sha256(self.path) == self.sha256


def weights_folder() -> Path:
    """Where installed weights lie: what DAINR_WEIGHTS names, or else the user's data folder.

    Raises BadRequest for a user without a home.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    try:
        return Path(named) if named else platformdirs.user_data_path("dainr") / "weights"
    except RuntimeError as error:
        raise BadRequest("installed weights", "there is no home to keep them in", f"set {FOLDER_VARIABLE}") from error


def shipped_folder() -> Path:
    """Where the weights lie that come with dainr."""
    return Path(str(files("dainr.pretrained")))


def installed_weights() -> dict[str, Weights]:
    """What is there, by name: shipped, then installed. Raises BadRequest when a manifest cannot be read."""
    shipped = _listed(shipped_folder() / MANIFEST, True)
    try:
        folder = weights_folder()
    except BadRequest:  # no home: nothing is installed
        return shipped
    return shipped | _listed(folder / MANIFEST, False)


def encoders_installed() -> dict[str, str]:
    """The encoder that weights are of, by their name, of all that are of one."""
    found = [w for w in installed_weights().values() if not w.method and w.name not in SHA256]
    return {w.name: _read_tensors(w.path)[1].get(NETWORK, FIRST) for w in found}


def import_weights(path: Path, licence: str = "not stated", replace: bool = False) -> Weights:
    """Install a checkpoint under its own name, less the hash in it.

    Raises BadRequest when the file is missing, damaged, or another network's, and when the name is taken.
    """
    stem, source_sha256 = path.stem, file_sha256(_existing(path))
    promised = HASH_IN_NAME.search(stem)
    if promised is not None:
        stem = stem[: promised.start()]
        if not source_sha256.startswith(promised[1]):
            raise BadRequest(
                str(path),
                f"it is damaged: its SHA-256 begins with {source_sha256[:8]}, its name promises {promised[1][:8]}",
                "download it again",
            )
    folder = weights_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with alone_in(folder, "another import", wait=True):
            return _install(path, stem, source_sha256, licence, replace)
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise


def _install(path: Path, stem: str, source_sha256: str, licence: str, replace: bool) -> Weights:
    """Install a checkpoint under a name, while nobody else does."""
    known = installed_weights()
    part = part_of(source_sha256)
    stem = part or stem
    if stem == RANDOM or (stem in known and known[stem].shipped):
        raise BadRequest(f"weights {stem}", "that name belongs to dainr", "rename the file")
    if stem in known and not replace:
        raise BadRequest(f"weights {stem}", "there are weights of that name", "rename the file or add --force")
    folder, method = weights_folder(), read_network(path).method if is_network(path) else ""
    contents = None if method else _contents(path, part)
    target = folder / f"{stem}.safetensors"
    with write_whole(target) as temporary:
        if contents is None:
            shutil.copyfile(path, temporary)
        else:
            save_file(contents[0], temporary, contents[1])
        if stem not in known and not replace and _is_foreign(target, temporary, path):
            raise BadRequest(str(target), "it was not imported", "move it away, rename the file or add --force")
        weights = Weights(stem, path.name, source_sha256, licence, file_sha256(temporary), method)
    entries = {w.name: _entry(w) for w in [*known.values(), weights] if not w.shipped}
    with write_whole(folder / MANIFEST) as temporary:
        temporary.write_text(tomli_w.dumps(entries), encoding="utf-8")
    return weights


def _is_foreign(target: Path, made: Path, source: Path) -> bool:
    """Whether another file is in the way than the one just made, which an import that was killed may have left."""
    if not target.exists() or target.samefile(source):
        return False
    return file_sha256(target) != file_sha256(made)


def _entry(weights: Weights) -> dict[str, str]:
    """What the manifest says of weights."""
    return {k: v for k, v in asdict(weights).items() if k not in ("name", "shipped") and (v or k != "method")}


def load_dists() -> Dists | None:
    """The network of DISTS, frozen; None where a part of its weights is not installed. Raises BadRequest if damaged."""
    known = installed_weights()
    if not all(part in known for part in SHA256):
        return None
    network = Dists()
    network.load_state_dict({k: v for part in SHA256 for k, v in load_file(weights_path(part)).items()})
    return network.requires_grad_(False).eval()


def weights_of(encoder: str, weights: str) -> str:
    """The name or path of an encoder's weights; "auto": those made for it here."""
    return f"{encoder}_cine" if weights == AUTO else weights


def load_encoder(encoder: str, weights: str, seed: int) -> Encoder:
    """A frozen feature extractor: "random" draws its weights from the seed, else a name that is known here or a path.

    Raises BadRequest when there is no such file, when it cannot be read as tensors, holds another network, or is not
    what was installed.
    """
    name = weights_of(encoder, weights)
    if name == RANDOM:
        return _drawn(encoder, seed).requires_grad_(False).eval()
    if weights == AUTO and name not in installed_weights():
        raise BadRequest(
            f"encoder={encoder}",
            f"its weights {name} are not installed",
            f"run python -m dainr.pretrained.train --network {encoder} --work FOLDER and dainr weights import"
            f" {name}.safetensors, or name others by encoder_weights",
        )
    path = weights_path(name)
    kind, network = _frozen(path, path.stat().st_mtime_ns)
    if kind != encoder:
        raise BadRequest(f"weights {name}", f"they are of {kind}, not of {encoder}", f"add --set encoder={kind}")
    return network


def restoring(encoder: str) -> dict[str, str]:
    """Metadata of a file with weights that restore frames."""
    return RESTORES_FRAMES if encoder == FIRST else RESTORES_FRAMES | {NETWORK: encoder}


def _listed(path: Path, shipped: bool) -> dict[str, Weights]:
    if not path.is_file():
        return {}
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
        return {name: Weights(name, **entry, shipped=shipped) for name, entry in entries.items()}
    except (ValueError, TypeError) as error:
        fix = "install dainr again" if shipped else "delete it and import the weights again"
        raise BadRequest(str(path), f"it is no manifest ({error})", fix) from error


def weights_path(weights: str) -> Path:
    """The file of weights that are named, or given by their path. Raises BadRequest when it is missing or changed."""
    known = installed_weights().get(weights)
    if known is None:
        return _existing(Path(weights))
    if not known.whole():
        raise BadRequest(
            f"weights {weights}",
            f"{known.path} is not the file that was installed",
            f"run: {known.repair}",
        )
    return known.path


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise BadRequest(
            str(path), "there is no such file, and no such name in dainr weights", "give a checkpoint, or random"
        )
    return path


def _contents(path: Path, part: str | None) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """What is installed of a file: tensors and metadata, of a part of DISTS or of an MDSR."""
    if part is not None:
        return read_part(part, path), None
    kind, network = _network(path)
    return network.state_dict(), restoring(kind) if network.restores_frames else None


def _drawn(encoder: str, seed: int) -> Encoder:
    """Random weights; they stand for any kind, to compare with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ENCODERS[encoder]()
    network.restores_frames = True
    return network


@kept()
def _frozen(path: Path, _written: int) -> tuple[str, Encoder]:
    """The same, which nothing trains; `_written` tells a file from another that has taken its place."""
    kind, network = _network(path)
    return kind, network.requires_grad_(False).eval()


def _network(path: Path) -> tuple[str, Encoder]:
    """The encoder of a checkpoint and its name."""
    kind = FIRST
    try:
        tensors, metadata = _read_tensors(path)
        kind = metadata.get(NETWORK, FIRST)
        network = _drawn(kind, 0)
        network.restores_frames = RESTORES_FRAMES.items() <= metadata.items()
        if isinstance(network, MDSR) and not any(name.startswith(SUPER_RESOLUTION) for name in tensors):
            tensors |= {k: v for k, v in network.state_dict().items() if k.startswith(SUPER_RESOLUTION)}
        network.load_state_dict(tensors)
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise BadRequest(
            str(path),
            f"it is not a checkpoint of the MDSR baseline or another encoder ({str(error).splitlines()[0]})",
            "give the official mdsr_baseline file or its tensors, weights of dainr train, or a part of DISTS's",
        ) from error
    return kind, network


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a checkpoint, and what it says of itself."""
    if path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True), {}
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
