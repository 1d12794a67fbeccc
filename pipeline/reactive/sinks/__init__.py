"""Streams that are fed by hand: what is emitted into them, and what becomes of it."""
