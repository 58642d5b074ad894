"""Tests of the simulated terminal: rules of the broker as units, the wire over real sockets."""
