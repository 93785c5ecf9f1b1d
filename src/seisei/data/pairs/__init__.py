"""Image pairs: layouts, reading both sides, native bit depth."""
