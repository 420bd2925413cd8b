"""Promises of the whole path under seeded faults, in one process (deploy/faultworld)."""
