"""What the room calls by itself: archives that everything is passed on to, and storage commitment both ways.

dispatch      puts it together; outgoing: the caller's process, and asking it
forwarding    every object to every destination; waybill: how far each is
commitments   storage commitment that the room asks of others; pledges: that peers ask of the room
transaction   storage commitment's data sets, for the helper processes
"""
