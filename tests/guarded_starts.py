"""Which files of the controller may start a task without a guard."""

INSIDE = {"tasks.py", "calls/scope.py"}
"""What these start is not theirs: they start it for somebody else, who is a place of its own."""
THEIR_OWN = {"cli/serve.py"}
"""What these start they wait for themselves, and nothing else lives there."""
ONE_CALLS = {"media/worker.py", "media/rehearsal.py"}
"""The process of one call: nothing else lives there."""
