# No Python face: compiled modules cimport it, see refusal.pxd; tests look through tidegate.wire.view.
