# No Python face: compiled modules cimport it, see names.pxd; tests look through tidegate.wire.view.
