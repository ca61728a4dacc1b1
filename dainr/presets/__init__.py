"""Presets: TOML files of settings, changes to a method's defaults."""
