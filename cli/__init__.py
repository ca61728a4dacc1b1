"""The command line: one command a file, thin. The only place that prints and exits."""

from .app import app, main

__all__ = ["app", "main"]
