import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import LOADERS, SEEDS, damage, how_it_ends, main, write_seeds
from benchmarks.reached import Reached
from dainr.errors import BadScan
from dainr.io import load
from dainr.io.scans import reader_process
from dainr.io.scans.reading import LOST


def test_every_seed_is_a_scan_and_damage_follows_from_its_numbers(tmp_path: Path) -> None:
    seeds = write_seeds(tmp_path)
    assert [path.name for path in seeds] == [f"{name}.{suffix}" for name, suffix in SEEDS]
    for seed in seeds:
        assert LOADERS.get(seed.stem, load)(seed) is not None
        contents = []
        for copy in ("one", "two"):
            damage(seed, tmp_path / copy / seed.stem, np.random.default_rng(5))
            contents.append({p.name: p.read_bytes() for p in (tmp_path / copy / seed.stem).iterdir()})
        assert contents[0] == contents[1] != {p.name: p.read_bytes() for p in seed.parent.iterdir()}


def test_what_ends_badly_is_counted_kept_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        if path.suffix == ".mat":
            raise ValueError("an exception of the reader's own")
        raise BadScan(str(path), LOST if path.suffix == ".mrd" else "it is damaged", "copy it again")

    (tmp_path / "seeds").mkdir()
    real = write_seeds(tmp_path / "seeds")
    monkeypatch.setattr("benchmarks.fuzz.write_seeds", lambda _: real)
    monkeypatch.setattr("benchmarks.fuzz.load", refuse)
    monkeypatch.setattr("dainr.io.scans.reading.PATIENCE_S", 60.0)  # put back in the end
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)  # of this process
    with pytest.raises(SystemExit):
        main(["--inputs", str(2 * len(SEEDS)), "--keep", str(tmp_path / "kept")])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    counts = {row[0].strip(): [int(cell) for cell in row[1:]] for row in rows if row[0].strip() != "---"}
    assert counts["native.h5"] == [0, 2, 0, 0] and counts["matlab5.mat"] == [0, 0, 0, 2]
    assert counts["ismrmrd.mrd"] == [0, 0, 2, 0]
    assert len(list((tmp_path / "kept").iterdir())) == 8


def test_a_file_goes_new_ways_once(tmp_path: Path) -> None:
    while process := reader_process.idle_process():
        process.close()
    with Reached(tmp_path / "ways") as reached:
        sound = write_seeds(tmp_path)[0]
        assert reached.goes_new_ways()
        load(sound)
        assert not reached.goes_new_ways()
        truncated = Path(shutil.copytree(sound.parent, tmp_path / "truncated")) / sound.name
        truncated.write_bytes(sound.read_bytes()[:1000])
        assert how_it_ends(truncated) == "a clear error"
        assert reached.goes_new_ways()
        assert how_it_ends(truncated) == "a clear error"
        assert not reached.goes_new_ways()
        assert {Path(module).stem for module, _, _ in reached.ways} >= {"native", "ismrmrd", "bart", "matlab"}
    process = reader_process.idle_process()
    assert process is not None
    process.close()
