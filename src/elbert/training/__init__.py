"""Training: the objective over all depths, on transformers' Trainer (extra ``train``)."""
