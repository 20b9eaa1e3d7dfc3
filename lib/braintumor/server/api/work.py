"""How a route gets at the workspace."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from braintumor.server.workspace import Workspace


def _workspace(request: Request) -> Workspace:
    found: Workspace = request.app.state.workspace
    return found


Work = Annotated[Workspace, Depends(_workspace)]
"""Type of a route's parameter that wants the workspace."""
