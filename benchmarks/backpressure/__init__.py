"""The backpressure harness: a source faster than its sink, under each strategy, over time."""
