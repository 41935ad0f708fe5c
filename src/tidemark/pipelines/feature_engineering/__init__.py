"""Stage 2: features, and the split into train, test and folds."""
