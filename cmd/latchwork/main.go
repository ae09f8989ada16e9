// Command latchwork is the whole product: the server, and the tools beside it.
package main

func main() {}
