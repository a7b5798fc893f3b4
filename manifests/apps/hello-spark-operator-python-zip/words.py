"""What the job depends on: counting the words of a line."""


def count(line):
    return len(line.split())
