"""Build the wheel without modules of an earlier version, which setuptools leaves in
build/lib.
"""

import shutil

import setuptools

shutil.rmtree("build/lib", ignore_errors=True)
setuptools.setup()
