"""A brain MR study in; segmentation, measurements and report out."""

from braintumor._version import __version__

__all__ = ["__version__"]
