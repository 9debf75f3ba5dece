"""What tools/study is made of."""


class Problem(Exception):
    """Something that the user can mend, in one line."""
