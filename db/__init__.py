"""The store of rows and lists: Cassandra, or an embedded SQLite."""
