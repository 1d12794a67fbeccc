"""The operators of the reactive core, one a file; `pipeline.reactive` exports them."""
