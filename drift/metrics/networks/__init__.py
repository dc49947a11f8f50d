"""The networks behind the learned metrics: plain modules that load the published checkpoints."""
