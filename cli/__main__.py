"""`python -m dainr.cli`: the same program without its script on PATH."""

from . import main

main()
