"""The line process: owns one pjsua2 endpoint and knows nothing of dialogs."""
