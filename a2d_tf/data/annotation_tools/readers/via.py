FORMAT = "via"


def matches(content):
    return False
