# No Python face: compiled modules cimport it, see http1.pxd; tests look through tidegate.wire.view.
