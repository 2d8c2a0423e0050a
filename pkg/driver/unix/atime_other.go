//go:build !linux

package unix

const noAtime = 0
