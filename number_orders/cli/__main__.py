"""`python -m number_orders.cli`: the command `number-orders`, where its script is not on the path."""

from number_orders.cli.app import main

if __name__ == "__main__":
    main()
