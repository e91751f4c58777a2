"""The command `up`: the engines, the processes and the sandbox carriers of one machine."""
