"""What `recipes/train_agent.py` is made of: arguments, setup and report of a run."""
