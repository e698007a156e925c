"""Nothing of this module is for Python: see the header beside it."""
