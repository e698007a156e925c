"""One request's life: ``Exchange`` walks the ``Plan`` of its ``Route``; a ``Filter`` is a step written in Python."""
