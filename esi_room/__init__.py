"""One verifiable record of an epidural steroid injection: images, vitals and pump on one clock."""

__version__ = "0.1.0"
