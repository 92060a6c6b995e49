"""From words to meaning: expected answers, intents, the knowledge base."""
