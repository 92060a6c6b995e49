"""Intents: labelled questions in files, models in files, what they are worth, and the command `ivr intents`."""
