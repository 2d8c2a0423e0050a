//go:build !linux

package fsx

const noAtime = 0
