"""Small twix files, written by twixtools and never by the program under test."""

from pathlib import Path
from typing import Any

import numpy as np

PROTOCOL = {
    "tProtocolName": '"cine"',
    "sKSpace.lBaseResolution": 16,
    "sKSpace.lPhaseEncodingLines": 12,
    "sKSpace.ucTrajectory": 1,
    "sKSpace.ucDimension": 2,
    "sSliceArray.asSlice[0].dThickness": 6.0,
    "sSliceArray.asSlice[0].dPhaseFOV": 240.0,
    "sSliceArray.asSlice[0].dReadoutFOV": 320.0,
    "alTR[0]": 5000,
    "sRXSPEC.alDwellTime[0]": 2500,
}
FLAT = {"iPEFTLength": 12, "flReadoutOSFactor": 2.0, "lFrequency": 63870000}
TURNED = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))  # by 90 degrees about the slice direction: phase along y, read along -x


def header(protocol: dict[str, Any] | None = None, flat: dict[str, Any] | None = None) -> np.ndarray:
    """A measurement's header; what is None is left out."""
    yaps = {name: value for name, value in (PROTOCOL | (protocol or {})).items() if value is not None}
    told = {name: value for name, value in (FLAT | (flat or {})).items() if value is not None}
    lines = "".join(f"{name}\t = \t{value}\n" for name, value in yaps.items())
    kind = {float: "Double", int: "Long"}
    parts = {
        "Meas": "".join(f'<Param{kind[type(value)]}."{name}"> {{ {value} }}\n' for name, value in told.items()),
        "MeasYaps": f"### ASCCONV BEGIN ###\n{lines}\n### ASCCONV END ###\n",
    }
    buffers = b"".join(
        name.encode() + b"\0" + len(text).to_bytes(4, "little") + text.encode() for name, text in parts.items()
    )
    length = 8 + len(buffers) + (-len(buffers) - 8) % 32
    whole = length.to_bytes(4, "little") + len(parts).to_bytes(4, "little") + buffers.ljust(length - 8, b"\0")
    return np.frombuffer(whole, "S1")


def readout(data: np.ndarray, *flags: str, stamp: int = 0, pmu: int = 0, **fields: Any) -> Any:
    """One readout `coil sample`; `fields` are counters (Lin, Phs, ...) or fields of its header."""
    import twixtools.mdb

    block = twixtools.mdb.Mdb_local(np.asarray(data, np.complex64))
    block.channel_hdr = [type(block.channel_hdr[0])(ChannelId=number) for number in range(len(data))]
    head = block.mdh
    head.TimeStamp, head.PMUTimeStamp, head.CenterCol, head.CenterLin = stamp, pmu, data.shape[1] // 2, 6
    head.SliceData.Quaternion[:] = TURNED
    for flag in flags:
        block.add_flag(flag)
    for name, value in fields.items():
        if name == "position":
            head.SliceData.SlicePos.Sag, head.SliceData.SlicePos.Cor, head.SliceData.SlicePos.Tra = value
        elif name == "Quaternion":
            head.SliceData.Quaternion[:] = value
        elif name in ("Pre", "Post"):
            setattr(head.CutOff, name, value)
        else:
            setattr(head.Counter if hasattr(head.Counter, name) else head, name, value)
    return block


def lines(kspace: np.ndarray, **fields: Any) -> list[Any]:
    """Every line of Cartesian k-space `coil line sample`, numbered from 0, two ticks of 2.5 ms apart."""
    return [readout(kspace[:, n], Lin=n, stamp=1000 + 2 * n, **fields) for n in range(kspace.shape[1])]


def write(path: Path, *measurements: tuple[np.ndarray, list[Any]]) -> Path:
    """A file of measurements, each a header and readouts."""
    import contextlib
    import io

    import twixtools

    with contextlib.redirect_stdout(io.StringIO()):  # it says that it ends each measurement
        twixtools.write_twix([{"hdr_str": head, "mdb": blocks} for head, blocks in measurements], str(path))
    return path


def write_vb(path: Path, head: np.ndarray, kspace: np.ndarray) -> Path:
    """Lines `coil line sample` as software VB writes them: no table, and a header before the samples of every coil."""
    from twixtools import mdh_def

    length = 10240  # as large as theirs are; what begins with a smaller number is of a later software
    with path.open("wb") as file:
        file.write(length.to_bytes(4, "little") + head.tobytes()[4:].ljust(length - 4, b"\0"))
        n_coils, n_lines, n_samples = kspace.shape
        for line in range(n_lines + 1):
            mdh = mdh_def.VB17_header(
                SamplesInScan=n_samples, UsedChannels=n_coils, CenterCol=n_samples // 2, CenterLin=6
            )
            mdh.Counter.Lin, mdh.TimeStamp, mdh.SliceData.Quaternion[:] = line, 1000 + 2 * line, TURNED
            mdh_def.set_flag(mdh, "ACQEND", line == n_lines)
            for coil in range(n_coils):
                file.write(bytes(mdh) + kspace[coil, line % n_lines].astype(np.complex64).tobytes())
    return path
