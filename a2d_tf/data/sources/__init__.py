"""Where clips come from: A2D's release, a COCO file with videos, and what checks them."""
