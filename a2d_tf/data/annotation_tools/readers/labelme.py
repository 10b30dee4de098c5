FORMAT = "labelme"


def matches(content):
    return False
