"""Dose: from what the C-arm sends to what the room says of it.

units       units as devices write them, to Gy.m2, Gy and s
headers     an image's header: what it says of dose
ledger      one record's account: what each source said, and the total that follows
account     one study in it, quantity by quantity
homes       which record a late report belongs to
desk        in the daemon: writes `carm.dose` behind the entry of the object or step
---
codes       the codes of dose reports
item        in the listener: one content item of a structured report, whatever is wrong with it
reports     in the listener: radiation dose reports
steps       in the listener: what an MPPS says of dose

Above the line nothing needs a DICOM library: it runs in the daemon.
"""
