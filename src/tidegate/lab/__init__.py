"""What happens when: incidents and limits, played on one machine.

`sim` plays limits in virtual time: clients, a gateway and a backend as a queue. The rest plays incidents in real time:

    scenario   an incident as it is told, and its two halves: as it happened, and the same load through Tidegate
    figure     a number that a half comes out with, and what it has to be
    timeline   gauges that are read again and again, and what came of requests, as lines of a picture
    stage      what a half has while it lasts: pieces that end with it, time, a timeline
    pieces/    what is started: a gateway, a Valkey, services, clients, programs that die
    scenarios/ the incidents, one a file
    play       a scenario from its beginning to its end, so many times
    document   what came of it, as JSON
    picture    both halves of it, drawn
    page       as one page of HTML for somebody who was not there
    summary    in the terminal

A half is judged by counts (answers of the wrong service, permits that nobody holds), hardly ever by times: a slow or
busy machine changes times, and is no incident.
"""
