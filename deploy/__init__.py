"""Runs the whole service on one machine: data directory, embedded servers, supervision."""
