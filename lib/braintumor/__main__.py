"""`python -m braintumor`, which is also how torchrun starts it."""

from braintumor.cli import main

main()
