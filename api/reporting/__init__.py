"""Reports leave here: gathered from the store, set as JSON, workbook or pages."""
