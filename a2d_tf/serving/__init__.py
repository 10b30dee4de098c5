"""The served graph and the folder that it is exported to."""
