"""Promises of the checks on meters."""
