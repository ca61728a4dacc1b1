"""One command that checks and measures dainr on a GPU: see docs/gpu.md. Each module but a few is one stage of it."""
