"""What every other room stands on: settings, labels, errors, files, command lines, devices."""
