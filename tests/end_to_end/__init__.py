"""The whole system as a user starts it: real processes, real sockets, a brain written by hand from PROTOCOL.md."""
