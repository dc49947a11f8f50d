"""Records of `hiar bench` as pictures and as a page: roofline, timelines, tables.

Imports the other files of `hiar.bench`; nothing but the command line imports it.
"""
