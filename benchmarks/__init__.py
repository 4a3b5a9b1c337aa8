"""What the numbers in the README and in docs/ were measured with."""
