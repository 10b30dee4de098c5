"""The frames of a video with their times: of a file, a folder of images or a camera.

video_reader    `open_video` returns the `Reader` of a path, of `file_reader`,
                `image_reader` or `camera_reader`
span            the frames of a video that are answered
shortfall       whether a video has fewer frames than it claims
video_content   a digest that tells a video from others
"""
