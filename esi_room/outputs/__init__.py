"""What the room shows the world: the journal and its snapshots over MQTT, and what is asked of it that way."""
