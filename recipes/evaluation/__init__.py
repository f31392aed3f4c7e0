"""Judging message twins and their baselines: what they are asked, how often they are right, where they are wrong."""
