# No Python face: compiled modules cimport it, see request_line.pxd; tests look through tidegate.wire.view.
