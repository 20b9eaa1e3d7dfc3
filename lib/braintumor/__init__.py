"""A brain MR study in; segmentation, measurements and report out."""

__version__ = "0.1.0"
