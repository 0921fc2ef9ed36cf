"""One module a verb: `configure(parser)` and `run(options) -> render.Result`."""
