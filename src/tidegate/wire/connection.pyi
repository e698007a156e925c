# No Python face: compiled modules cimport it, see connection.pxd; tests look through tidegate.wire.view.
