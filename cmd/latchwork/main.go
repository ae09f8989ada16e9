// Command latchwork is the whole product: the server, and the tools beside it.
package main

import (
	"os"

	"github.com/latchwork/latchwork/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
