"""PostgreSQL, TimescaleDB, Citus: the only folder that speaks SQL."""
