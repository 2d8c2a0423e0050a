package lock

func roleMlock(args []string) error { return nil }
