//go:build !linux

package main

import "syscall"

func accessTime(st *syscall.Stat_t) int64 { return st.Atimespec.Nano() }
