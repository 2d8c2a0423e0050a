//go:build !linux

package inspect

const noAtime = 0
