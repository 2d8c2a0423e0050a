// Package maildir is Maildir and Maildir++.
package maildir
