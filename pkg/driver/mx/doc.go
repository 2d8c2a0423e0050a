// Package mx is the mx format.
package mx
