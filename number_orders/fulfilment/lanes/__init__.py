"""One lane of one carrier: claim due work, hold the conversations, record the results."""
