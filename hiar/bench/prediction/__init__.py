"""What other numbers of ranks would take, from the measured times of passes: no model runs.

Import `forecast` from `forecast`, `predict` from `cost_model`, `predict_split` from `splits`.
Imports the records of `hiar.bench`.
"""
