"""What every other room of hiar stands on: devices, files, processes, provenance.

Nothing here knows of models or videos. May be imported by every room; imports `hiar.errors` only.
"""
