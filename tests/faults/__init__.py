"""Campaigns that break the system at random moments and count what happened; each has a short form in the normal run."""
