"""The procedure: what the staff say of it, and what that makes of the record."""
