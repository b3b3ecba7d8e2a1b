"""What the experiments are made of; the scripts beside this folder are its commands."""
