"""Classical methods: gridding, CG-SENSE, temporal total variation, low rank plus sparse."""
