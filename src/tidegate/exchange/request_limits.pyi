from tidegate.limits.peek import Peek

class RequestLimits:
    """The limits of a request, by name: what they would say, and what the request takes of them."""

    def peek(self, name: str) -> Peek:
        """What the limit would say to this request now; changes nothing.

        Any limit of the configuration may be looked at, also one that the request does not meet. Raises ``KeyError``
        when there is none of that name, ``RuntimeError`` when the exchange is over.
        """
    def cost(self, name: str, amount: float) -> None:
        """Says what the request takes of a limit, in what that counts in, instead of what its ``cost`` says.

        Said before the limit is charged, that is what it is charged; later, the difference is charged or given back
        when the exchange ends. ``amount`` is 0 or more; a quota counts begun ones. Raises ``KeyError`` when there is
        no limit of that name, ``ValueError`` for a limit on concurrency and for what is no amount, ``RuntimeError``
        when the exchange is over.
        """
