"""Image features that condition the canonical network."""
