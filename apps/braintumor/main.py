"""What ``monailabel start_server --app apps/braintumor`` finds; the server itself is `braintumor.server`."""

from braintumor.server.main import BrainTumorApp

__all__ = ["BrainTumorApp"]
