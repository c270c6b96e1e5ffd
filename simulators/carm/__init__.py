"""A mobile C-arm: what it shows, what it writes, what it asks of the room.

phantom, anatomy, contrast, solids    the pictures
case          whose case it is and what was irradiated: what everything below tells of
headers, enhanced, encoders           an image as DICOM
dose_report, dose_faults              the dose report, and what real devices make of it
fluoroscope   pedal and clock: exposures become images
scu, jobs, errands                    calling the room: associations, the queue of objects, the queue of the rest
worklist, mpps, commitment            the services it uses
carm          all of it as one device, with its actions; faults: what can go wrong
"""
