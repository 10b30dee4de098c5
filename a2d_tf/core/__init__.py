"""What every other room uses: settings, labels, errors, files, devices, processes."""
