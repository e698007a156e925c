"""The requests of a load as the bytes that go out.

They are made before the load begins, so that neither a template nor a script of the user's is what is measured, and
sent one after the other, around and around.
"""


cdef class Requests:

    def __init__(self, texts, Py_ssize_t first=0):
        self.texts = [bytes(text) for text in texts]
        self.count = len(self.texts)
        if self.count == 0:
            raise ValueError("a load has at least one request")
        self.heads = bytes(text.startswith(b"HEAD ") for text in self.texts)
        self.at = first % self.count

    cdef bytes next(self):
        cdef bytes text = self.texts[self.at]
        self.is_head = self.heads[self.at] != 0
        self.at += 1
        if self.at == self.count:
            self.at = 0
        return text

    def take(self, Py_ssize_t count):
        """The next ``count`` of them; for tests and for who wants to see what is sent."""
        return [self.next() for _ in range(count)]

    def __len__(self):
        return self.count

    def __repr__(self):
        return f"<Requests {self.count}, next {self.texts[self.at][:40]!r}>"
