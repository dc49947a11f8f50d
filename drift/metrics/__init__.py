"""One metric a file; `drift.registry` lists them."""
