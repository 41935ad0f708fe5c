"""The mathematics: arrays and frames in, arrays and frames out.

No Kedro, no MLflow, no input or output, no clock, no environment, no global random state.
"""
