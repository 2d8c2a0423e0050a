// Package mh is the mh format.
package mh
