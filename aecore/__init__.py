"""aecore."""
