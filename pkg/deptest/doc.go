// Package deptest has no code: its test holds the packages of this module to
// the one direction in which they may import each other.
//
//	cmd  ->  ops  ->  search  ->  mailbox  <-  driver/*
//	                    |            |             |
//	            rfc822, charset     std     lock, internal/*
//
// The vocabulary, package mailbox, knows no driver. A driver knows no command
// and no other driver. Only driver/all knows all of them.
package deptest
