"""The agent on a plant gateway: reads meters, keeps readings, forwards them until received."""
