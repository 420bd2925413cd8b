"""Reporting to the national system of key energy users: settings, maker of figures, sender."""
