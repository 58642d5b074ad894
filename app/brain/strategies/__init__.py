"""Strategies of the reference brain: quotes and results in, signals out. They send nothing themselves and know no connection."""
