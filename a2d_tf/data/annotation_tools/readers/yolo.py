FORMAT = "yolo"


def matches(content):
    return False
