"""How fast sampling is: `hiar bench`, its rows, its pictures and its predictions.

Imports every room but `hiar.training` and `hiar.cli`.
"""
