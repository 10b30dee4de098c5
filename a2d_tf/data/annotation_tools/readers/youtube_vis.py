FORMAT = "youtube_vis"


def matches(content):
    return False
