"""The caches: near cache, single-flight, fence and staleness."""
