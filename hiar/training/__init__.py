"""The mathematics of training: losses, rollouts, targets, draws and recipes.

`stages` makes training steps of it and `run` the loop around them; neither is imported from here.
Import `losses` and `rollout` for methods of your own. Imports every room but `hiar.bench` and
`hiar.cli`.
"""
