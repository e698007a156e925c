"""What happens when: incidents and limits, played on one machine.

`sim` plays limits in virtual time: clients, a gateway and a backend as a queue.
"""
