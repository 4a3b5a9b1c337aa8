"""What the numbers in docs/RELIABILITY.md are measured with: faults done to real processes and real files.

Each measure is a module with `measure(rounds, seed) -> Result`. `python -m torture` runs them all and writes the table.
"""
