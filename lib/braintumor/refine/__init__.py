"""Interactive refinement: what an annotator says of a few voxels corrects the mask around them."""

from braintumor.refine.hints import Hint
from braintumor.refine.stage import Patch, refine

__all__ = ["Hint", "Patch", "refine"]
