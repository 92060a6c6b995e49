"""The knowledge base: entries, their files, the index that finds them, and the command `ivr kb`."""
