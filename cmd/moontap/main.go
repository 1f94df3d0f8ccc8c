// Moontap is an intercepting HTTP(S) proxy for the terminal, scripted in Lua.
package main

func main() {}
