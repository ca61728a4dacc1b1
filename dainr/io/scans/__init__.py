"""Scan files, one format a module."""
