"""What a command has: flags and flagfiles, help, errors in one line, progress."""
