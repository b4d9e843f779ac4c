# Each recipe is one command that also works without just.

# Run real tools against upstreams that fail in all the usual ways
demo:
    cargo xtask demo

# Everything that has to hold: format, lints, unit and black-box tests, docs
test:
    cargo xtask test

# Build the example tools into target/guests
guests:
    cargo xtask guests

# Print one table of ratios
bench:
    cargo xtask bench
