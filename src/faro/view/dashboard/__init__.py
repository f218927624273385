"""The web dashboard: a process of its own that reads a run and shows it."""
