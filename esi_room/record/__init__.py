"""The record: journal (the only writer), reader, verify."""
