"""Checks on meters: what is frozen, out of scale or drifting, which meter it is, and how sure.

Pure: columns in, findings out. A check says what it cannot tell as plainly as what it can.
"""
