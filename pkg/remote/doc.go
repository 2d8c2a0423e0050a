// Package remote connects to mail servers: names and addresses, TLS, tunnels,
// and who logs in. What is said on a connection is for packages imap and pop3.
//
// Certificates are validated unless the name says /novalidate-cert. A password
// never crosses an unencrypted connection to another host unless Options allow
// it. No command line is ever built from a name: a tunnel is a list of
// arguments that the user gives apart.
package remote
