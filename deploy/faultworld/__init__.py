"""The simulation of faults: the real programs' parts in one process, under a seeded bad fortune.

Real are the outbox on SQLite, the publisher, the writer, the receipts, the calculator and the
PostgreSQL they write to. Time, the broker and what may go wrong are simulated (docs/faults.md).
"""
