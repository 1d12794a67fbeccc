"""`python -m pipeline`: the command, where it is not on the PATH."""

from __future__ import annotations

from pipeline.cli.main import main

main()
