"""The node's token in a request (RFC 6750)."""

from __future__ import annotations

import hmac


def is_authorised(header: str, token: str) -> bool:
    """Whether an Authorization header, as Starlette decodes it (Latin-1), holds the token; takes as long for any wrong one."""
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1", "replace"), token.encode())
