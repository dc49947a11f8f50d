"""Kinds of training: pretraining, ODE initialisation, distillation, and the data they read.

A stage holds networks and optimisers and runs one step. Imports `hiar.training`'s mathematics.
"""
