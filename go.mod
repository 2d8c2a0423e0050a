module mailutil

go 1.26
