# No Python face: compiled modules cimport it, see chunked.pxd; tests look through tidegate.wire.view.
