"""Reconstruction beside the scanner: a server of the ISMRMRD streaming protocol, and a client of it."""
