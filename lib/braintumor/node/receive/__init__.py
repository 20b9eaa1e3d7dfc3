"""The doors through which instances come (DICOM, STOW-RS, a folder): each keeps an instance before it answers its sender."""

from braintumor.node.receive.inlets import Receivers

__all__ = ["Receivers"]
