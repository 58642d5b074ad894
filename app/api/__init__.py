"""Local control of a running engine: HTTP and WebSocket on loopback. Importing this package imports nothing heavy."""
