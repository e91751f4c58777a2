"""The board: what a person on call sees and does in a browser. Server-rendered; nothing comes from another host."""
