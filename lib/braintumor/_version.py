"""The version of what is installed: made from the git tag when the wheel or the editable installation was built."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("braintumor")
except PackageNotFoundError:  # imported from a tree that was never installed
    __version__ = "0+unknown"
