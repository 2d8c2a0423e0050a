//go:build !linux

package mbx

const noAtime = 0
