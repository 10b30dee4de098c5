"""How much a file may claim. Larger claims are of a damaged or a hostile file, and are refused
before memory is taken for them; docs/security.md says what each is for.
"""

MAX_SIDE = 8192  # pixels; 8K video has 7680
MAX_PIXELS = MAX_SIDE**2  # of an image, a frame, a label map
MAX_IMAGE_BYTES = 4 * MAX_PIXELS  # of an image file
MAX_INSTANCES = 1000  # of a frame; A2D's most is 19
MAX_MASK_PIXELS = 2**30  # of all masks of a frame together
MAX_OUTLINE = 2**21  # pixels along the polygons of a mask, which are traced one by one
MAX_NAME = 200  # bytes of a video's name: 255 fit a file system, with a suffix
MAX_TEXT_BYTES = 2**26  # of videoset.csv, of a JSON file of settings
MAX_COCO_BYTES = 2**29  # of a COCO file: JSON takes 20 times as much memory as disk
MAX_ARRAY_BYTES = 2**32  # of one array in an .npz or HDF5 file
MAX_EXPANSION = 1100  # bytes from one compressed byte; deflate's most is 1032
MAX_FRAMES = 129  # of a clip, 2L + 1
MAX_FLOW = 1e4  # pixels, of a served flow vector; a longer one would leave any frame
