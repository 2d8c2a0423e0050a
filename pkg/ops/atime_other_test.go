//go:build !linux

package ops_test

const noAtime = 0
