"""Python faces of the codec, see view.pyi; nothing to cimport."""
