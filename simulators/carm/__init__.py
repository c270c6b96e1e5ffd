"""A mobile C-arm: what it sees (phantom), what it writes about it (headers), how it sends it (scu)."""
