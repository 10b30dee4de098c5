"""Documents: what any tool's file says, as annotated frames with their instances."""
