"""The soak: many calls of every kind with one fault after the other, and what must be true in between and afterwards.

Each kind of call has its ending, and each fault says which other endings are right for a call that it hits.
"""
