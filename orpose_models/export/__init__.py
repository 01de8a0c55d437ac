"""Export of the student to static graphs. Import the submodule you need: some work without torch."""
