"""How fast the engine is beside a hand-written loop and other libraries, all measured in one run."""
