"""The models that the paper compares: their data, and the adapters that run them."""
