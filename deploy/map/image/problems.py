"""The error of building an image."""

from braintumor.errors import BrainTumorError


class PackagingError(BrainTumorError):
    """The image cannot be built: a wheel, a base image or a container tool fails."""

    exit_code, code, meaning = 80, "packaging", "the MAP image cannot be built"
