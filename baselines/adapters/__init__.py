"""Three ways to run a model; `baselines.adapter` chooses."""
