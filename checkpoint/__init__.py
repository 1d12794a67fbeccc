"""How a job's progress is stored and restored."""

from pathlib import Path
from runpy import run_path

run_path(f"{Path(__file__).parents[1]}/pipeline/core/siblings.py")["require_siblings"]()
