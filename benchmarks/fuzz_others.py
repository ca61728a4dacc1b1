"""Small files for the fuzzer of the formats that optional packages read: Siemens raw data, MRD version 2 streams."""

import struct
from pathlib import Path

import numpy as np

VB_HEADER = 10240  # bytes; what begins with a smaller number is of a later software


def write_twix(path: Path, random: np.random.Generator) -> None:
    """Siemens raw data as software VB writes them: noise, then 3 frames of lines, each coil's samples with a header."""
    from twixtools import mdh_def  # here, for it is an optional package

    protocol = """### ASCCONV BEGIN ###
sKSpace.lBaseResolution = 16
sKSpace.lPhaseEncodingLines = 12
sKSpace.ucTrajectory = 1
sSliceArray.asSlice[0].dThickness = 8.0
sSliceArray.asSlice[0].dPhaseFOV = 240.0
sSliceArray.asSlice[0].dReadoutFOV = 320.0
alTR[0] = 5000
sRXSPEC.alDwellTime[0] = 2500

### ASCCONV END ###
"""
    parts = {"Meas": '<ParamDouble."flReadoutOSFactor"> { 2.0 }', "MeasYaps": protocol}
    buffers = [name.encode() + b"\0" + struct.pack("<I", len(text)) + text.encode() for name, text in parts.items()]
    with path.open("wb") as file:
        file.write((struct.pack("<II", VB_HEADER, len(buffers)) + b"".join(buffers)).ljust(VB_HEADER, b"\0"))
        for number in range(41):
            head = mdh_def.VB17_header(SamplesInScan=32, UsedChannels=2, CenterCol=16, CenterLin=6, ScanCounter=number)
            head.Counter.Lin, head.Counter.Phs, head.TimeStamp = number % 12, number // 14, 100 + 2 * number
            head.SliceData.Quaternion[:] = 1, 0, 0, 0
            mdh_def.set_flag(head, "NOISEADJSCAN", number == 0)
            mdh_def.set_flag(head, "ACQEND", number == 40)
            for _ in range(2):
                file.write(bytes(head) + random.normal(size=64).astype(np.float32).tobytes())


def write_stream(path: Path, random: np.random.Generator) -> None:
    """3 frames of lines as an MRD version 2 stream."""
    import mrd  # here, for it is an optional package

    space = mrd.EncodingSpaceType(
        matrix_size=mrd.MatrixSizeType(x=16, y=12, z=1), field_of_view_mm=mrd.FieldOfViewMm(x=320.0, y=240.0, z=8.0)
    )
    encoding = mrd.EncodingType(encoded_space=space, recon_space=space, encoding_limits=mrd.EncodingLimitsType())
    conditions = mrd.ExperimentalConditionsType(h1resonance_frequency_hz=63870000)
    with path.open("wb") as file, mrd.BinaryMrdWriter(file) as stream:
        stream.write_header(mrd.Header(encoding=[encoding], experimental_conditions=conditions))
        stream.write_data(_line(number, random) for number in range(36))


def _line(number: int, random: np.random.Generator) -> object:
    import mrd

    head = mrd.AcquisitionHeader(
        idx=mrd.EncodingCounters(kspace_encode_step_1=number % 12, phase=number // 12),
        acquisition_time_stamp=100 + 2 * number,
        channel_order=[0, 1],
        center_sample=8,
    )
    data = (random.normal(size=(2, 16)) + 1j * random.normal(size=(2, 16))).astype(np.complex64)
    return mrd.StreamItem.Acquisition(mrd.Acquisition(head=head, data=data))
