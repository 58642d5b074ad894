"""The command line: options in, exit codes out. No trading and no rules here."""
