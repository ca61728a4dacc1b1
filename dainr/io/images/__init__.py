"""Files of images: cines, NIfTI, DICOM, films, series to compare with."""
