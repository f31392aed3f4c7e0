"""What comparisons of agents share: settings, arms, anchors, cached runs over seeds, pictures."""
