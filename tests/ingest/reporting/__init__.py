"""Tests of national reporting."""
