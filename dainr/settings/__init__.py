"""Settings of methods: built from dataclasses, presets and `key=value` pairs."""
