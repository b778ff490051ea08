"""The command line: arguments in, sentences or JSON out, exit codes for pipelines."""
