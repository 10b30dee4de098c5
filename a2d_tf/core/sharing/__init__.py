"""Work that several processes share, on one machine or many."""
