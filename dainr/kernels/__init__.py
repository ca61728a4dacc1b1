"""Compiled and plain passes over arrays, and the one place that chooses between them."""
