"""The chaos run of a cluster: two machines with the same lines, callers, and one fault after the other.

What each fault may do to a call, a text or a card is said in `rules`.
"""
