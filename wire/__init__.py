"""A connection: its limits, its turns, refusals, and the fast lane."""
