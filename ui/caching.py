"""What a browser may keep of an answer."""

NEVER = {"Cache-Control": "no-store"}
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""For addresses that name what their answer was made from."""
