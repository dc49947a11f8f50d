"""The models that the paper compares, as data and adapters."""
