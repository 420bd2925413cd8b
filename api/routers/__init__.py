"""One module per noun of the public API."""
