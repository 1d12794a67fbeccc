"""Where streams begin, one way a file; `pipeline.reactive` exports them."""
