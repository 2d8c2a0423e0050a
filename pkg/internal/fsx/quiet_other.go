//go:build !linux

package fsx

// NoAtime is 0: there is no such thing here.
const NoAtime = 0
