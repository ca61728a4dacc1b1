"""Names of cases: printable, short enough for every file made of them, and no two alike."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dainr.machine.text import printable

LONGEST = 160  # bytes; a name of a file may have 255
TAKEN = ("index.html", "summary.csv", "summary.json")  # in a batch's folder
AN_EXPORT = re.compile(r"(\.(npy|h5|nii|gz|mp4|gif|png|cfl|hdr|mrd)|_dicom|_view\d+)$", re.IGNORECASE)  # ends like one


def name_cases(paths: Sequence[Path], known: Mapping[str, str]) -> list[str]:
    """A name for every scan file, given by its path in the folder; one that a file has by `known` it keeps.

    Of files whose names would be the same, and where a name would be that of another's export, the path decides: the
    name ends with digits of its checksum.
    """
    plain = [printable("_".join(path.with_suffix("").parts)) for path in paths]
    times = Counter(map(_alike, plain))
    told = [
        name if times[_alike(name)] == 1 else f"{name}_{printable(path.suffix[1:])}"
        for name, path in zip(plain, paths, strict=True)
    ]
    times = Counter(map(_alike, told))
    kept = {_alike(name) for name in known.values()}
    names = []
    for path, name, shorter in zip(paths, told, plain, strict=True):
        if str(path) in known:
            names.append(known[str(path)])
            continue
        usable = times[_alike(name)] == 1 and _alike(name) not in kept and len(name.encode()) <= LONGEST
        if not usable or name.lower() in TAKEN or AN_EXPORT.search(name):
            name = f"{_first(shorter, LONGEST - 9)}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
        names.append(name)
    return names


def _alike(name: str) -> str:
    """The same for names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _first(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")
