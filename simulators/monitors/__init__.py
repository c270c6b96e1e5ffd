"""Patient monitors and oximeters."""
