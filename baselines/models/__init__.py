"""One file a model; each holds one ``SPEC``."""
