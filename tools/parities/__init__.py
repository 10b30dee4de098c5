"""What tools/parity.py compares; see `comparison`."""
