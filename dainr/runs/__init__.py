"""A run: reconstruct into a folder, and read it back."""
