"""Pipeline Framework: reactive dataflow jobs with state, checkpoints and exactly-once output."""
