"""The class's board: who is where in which lab, live, for the instructors. A service of the hub.

Seats report to it with their own tokens (`virtlab.server.board` is their half), so a student can say and hear
only what is theirs. Instructors come in through the hub; the page, the API and the CSV say the same.
"""
