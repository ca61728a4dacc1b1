"""Unrolled networks as methods: fitted to one scan by its own measurements, from nothing or from weights."""
