"""The read side: HTTP API, live stream and the page."""
