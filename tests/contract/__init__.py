"""One set of tests for every way to a terminal."""
