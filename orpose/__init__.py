"""The `orpose` command: one small file per subcommand."""
