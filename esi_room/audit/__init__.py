"""The auditor's side: what is made of records that are there. It reads, and writes nothing into them."""
