"""Recognition and voice: engines behind one protocol each. Knows nothing of calls, dialogs or SIP."""
