"""What a job remembers: descriptors of state, and the backends that keep it."""

from pathlib import Path
from runpy import run_path

run_path(f"{Path(__file__).parents[1]}/pipeline/core/siblings.py")["require_siblings"]()
