//go:build !linux

package flocked

const noAtime = 0
