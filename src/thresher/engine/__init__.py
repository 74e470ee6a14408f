"""The engine: runs, steps, tables, passes and the laws of combination. It knows no method by name."""
