# No Python face: compiled modules cimport it, see target.pxd; tests look through tidegate.wire.view.
