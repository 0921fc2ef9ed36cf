"""A class: who is in it, on which hosts, what they are given on paper, what they have earned."""
