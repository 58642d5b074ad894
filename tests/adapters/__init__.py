"""Tests of the adapters: real sockets, real files."""
