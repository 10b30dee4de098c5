FORMAT = "datumaro"


def matches(content):
    return False
