"""The catalogue: ``python -m db.catalog`` imports, generates and repairs it."""
