"""The journal's schema, step by step. A revision that has been released is never changed: a new one follows it."""
