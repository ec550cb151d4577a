"""The stack of middleware around every handler."""
