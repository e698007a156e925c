"""What a half is made of, each an asynchronous context manager whose end leaves nothing running.

port      a number for a server that is started with one
process   a child process: started, watched, ended by its pid
gateway   Tidegate itself, from a configuration
valkey    a real server with the protocol of Redis
program   a function of ours in a process of its own, to be killed
service   an HTTP server in this process: the upstreams, and the gateways of the originals
client    requests one by one, and at a rate that does not depend on who answers
resp      commands to Redis as the originals sent them: one connection, one command, one answer
relay     a line that is slow, narrow or cut
"""
