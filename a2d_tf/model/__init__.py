"""The network: clip in; boxes, actors, actions and masks out."""
