"""The stack size that holoscan asks for."""

from __future__ import annotations

import os
import resource
import sys

STACK_BYTES = 32 * 1024 * 1024


def with_enough_stack() -> None:
    """Start this process again with the stack that holoscan wants, if it has less and may have more.

    Threads get the stack size that the process had when it started, so raising the limit alone would not reach them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    allowed = hard == resource.RLIM_INFINITY or hard >= STACK_BYTES
    if soft != resource.RLIM_INFINITY and soft < STACK_BYTES and allowed:
        resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, hard))
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # ourselves
