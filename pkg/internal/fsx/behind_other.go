//go:build !linux

package fsx

func startWriteback(File, int64, int64) {}
