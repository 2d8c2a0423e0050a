//go:build !linux

package mboxfile

const noAtime = 0
