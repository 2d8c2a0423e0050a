//go:build !linux

package phile

const noAtime = 0
