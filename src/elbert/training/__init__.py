"""Training: the objective over all depths, with transformers' Trainer (extra ``train``)."""
