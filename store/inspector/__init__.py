"""The checker of evidence packs, in pieces: `store.evidencefile` joins them to the one file.

A second implementation: nothing here imports a module of ours or of anybody else but the standard
library, and all of it runs on Python 3.9.
"""
