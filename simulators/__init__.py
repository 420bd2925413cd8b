"""Stand-ins for the plant: seeded processes behind real Modbus, and recorded data replayed."""
