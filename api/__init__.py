"""The HTTP API: handlers, reading of requests, static files and probes."""
