"""Seeded misfortune for the delivery of alerts, on virtual time.

The deciding transaction, the notifier, PostgreSQL and the code of the receivers are real; what goes
wrong between them is drawn from a seed (docs/faults.md, `danhao bench delivery`).
"""
