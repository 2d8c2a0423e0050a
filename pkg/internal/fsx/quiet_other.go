//go:build !linux

package fsx

const NoAtime = 0
