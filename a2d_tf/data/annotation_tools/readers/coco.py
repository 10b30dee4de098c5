FORMAT = "coco"


def matches(content):
    return False
