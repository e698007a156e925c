"""May it pass: arithmetic that takes the time and the numbers it needs, and holds neither clock nor socket.

`adaptive` learns how many requests an upstream bears at once.
"""
