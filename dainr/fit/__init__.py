"""The fit: its loop, its state and its optimiser."""
