"""A folder of videos from a model, or a timing of it. Imports `baselines.adapters`."""
