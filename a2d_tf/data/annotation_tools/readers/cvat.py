FORMAT = "cvat"


def matches(content):
    return False
