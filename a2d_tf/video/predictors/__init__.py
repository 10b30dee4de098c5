"""What finds and labels instances in a frame: a network, a detector, given tracks."""
