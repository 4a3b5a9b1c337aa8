"""The verbs of the command line, by what they are about; `aecore.__main__` reads the arguments."""
