"""Grafana over the ledger's own tables: a data source, its reader's rights, and dashboards."""
