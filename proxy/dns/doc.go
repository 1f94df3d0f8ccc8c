// Package dns is what a DNS proxy needs apart from the messages themselves, which
// are [flow.DNSMessage]: it asks a server over a connection, frames messages for
// TCP, cuts those that are too long for a datagram, and reads the hosts file and
// the list of name servers of the system.
package dns
