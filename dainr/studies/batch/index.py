"""What a batch wrote into its folder, and the names it gave: `OUT/.batch.json`. Nothing else there is ever replaced.

Files are written down before they are written, so that a batch killed at any moment knows them again.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from dainr.errors import BadRequest
from dainr.io.hdf5 import write_whole

INDEX, SCHEMA, VERSION = ".batch.json", "dainr-batch", 1
CASES = ".cases"  # what was asked of each case and how it ended
SUMMARY = ("summary.csv", "summary.json", "index.html")
SHOWN = 3  # of files that are not the batch's


@dataclass
class Index:
    """Names of cases by the path of their scan in its folder, and the entries of the batch's folder that are its own.

    An entry stands for what one export writes: the views of slices in several orientations, and BART's header, too.
    """

    names: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)


def entry(name: str) -> str:
    """The entry that a file of a batch's folder belongs to."""
    whole = re.sub(r"_view\d+(?=\.(nii|nii\.gz|mrd)$)", "", name)
    return f"{whole.removesuffix('.hdr')}.cfl" if whole.endswith(".hdr") else whole


def present(out: Path) -> set[str]:
    """The entries that are there."""
    return {entry(path.name) for path in out.iterdir()} if out.is_dir() else set()


def read_index(out: Path) -> Index:
    """The index of a batch's folder, empty where there is none.

    Where batches wrote none yet, the names are those of its cases' records. Raises BadRequest for a file of that name
    that no batch wrote, or that is damaged.
    """
    path = out / INDEX
    if not path.is_file():
        return _of_records(out)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if (stored["schema"], stored["version"]) == (SCHEMA, VERSION):
            return Index({str(k): str(v) for k, v in stored["names"].items()}, set(map(str, stored["files"])))
        why = f"it is not of schema {SCHEMA}, version {VERSION}"
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        why = f"it is damaged ({error})"
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
    raise BadRequest(str(path), why, "name another folder for the results")


def write_index(out: Path, index: Index) -> None:
    """Write it whole."""
    stored = {"schema": SCHEMA, "version": VERSION, "names": index.names, "files": sorted(index.files)}
    with write_whole(out / INDEX) as temporary:
        temporary.write_text(json.dumps(stored, indent=1), encoding="utf-8")


def check_own(out: Path, index: Index, wanted: Collection[str]) -> None:
    """Refuse to replace what a batch did not write. Raises BadRequest, which names it."""
    foreign = sorted((set(wanted) - index.files) & present(out))
    if foreign:
        more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
        raise BadRequest(
            str(out), f"no batch wrote {', '.join(foreign[:SHOWN])}{more} in it", "name another folder for the results"
        )


def _of_records(out: Path) -> Index:
    """Of a folder from before there was an index."""
    names: set[str] = set()
    for path in (out / CASES).glob("*.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if {"name", "path", "asked", "status"} <= record.keys() and record["name"] == path.stem:
                names.add(path.stem)
        except (OSError, ValueError, AttributeError):
            continue
    if not names:
        return Index()
    own = {e for e in present(out) if e in (*SUMMARY, CASES) or any(_is_of(e, name) for name in names)}
    return Index({}, own)


def _is_of(name: str, case: str) -> bool:
    return (
        name == case or name == f"{case}_dicom" or (name.startswith(f"{case}.") and "." not in name[len(case) + 1 : -3])
    )
