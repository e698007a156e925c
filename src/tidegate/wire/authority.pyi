# No Python face: compiled modules cimport it, see authority.pxd; tests look through tidegate.wire.view.
