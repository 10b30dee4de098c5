"""Writers: one module for each format, from tracks to the files that a tool imports."""
