# Go, make and git are all that this needs. Linters come through the module
# proxy; what is not installed (mandoc, a C compiler) is left out, and said so.

GO       ?= go
PREFIX   ?= /usr/local
FUZZTIME ?= 60s
BENCH    ?= .
BENCH_MB ?= 100
PAIRS    ?= .
SOAK     ?= 10m

MAILSYSTEMS ?= /var/tmp/mailutil-mailsystems

GOFUMPT     = $(GO) run mvdan.cc/gofumpt@v0.12.0
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
PROGRAMS := $(notdir $(wildcard cmd/*))
AGENTS   := ./cmd/tmail ./cmd/dmail ./cmd/mlock# small is better than fast there: see pkg/deptest/size_test.go
AGENTGC  := $(shell GOEXPERIMENT=nogreenteagc $(GO) env GOEXPERIMENT 2>/dev/null)# they hardly ever collect garbage: the smaller collector, of Go 1.25, as long as there is one
MANUALS  := $(wildcard man/*.[157])

export CGO_ENABLED = 0

.PHONY: build test check format vet staticcheck manuals deps cross race kills kills-some bench bench-formats bench-peers mailsystems test-mailsystems test-peers soak bench-deliver fuzz install clean

build: ## all programs, into bin/
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...
	GOEXPERIMENT='$(AGENTGC)' $(GO) build -trimpath -gcflags=all=-l -ldflags '-s -w -funcalign=1 -X main.version=$(VERSION)' -o bin/ $(AGENTS)

test: ## what needs no network and no root
	$(GO) test -short ./...

check: format vet staticcheck manuals deps cross build test test-mailsystems race kills-some test-peers

format:
	@out=$$($(GOFUMPT) -l cmd pkg) && if [ -n "$$out" ]; then echo "not formatted: $$out"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(STATICCHECK) ./...

manuals:
	@if command -v mandoc >/dev/null; then mandoc -Tlint -Wwarning $(MANUALS); \
	else echo "manuals: mandoc is not installed, not checked"; fi

deps: ## who may import whom, and how large the delivery agents are
	$(GO) test -run 'TestDependencies|TestAgentsAreSmall|TestMlockIsShort' ./pkg/deptest

cross: ## that it compiles elsewhere, tests included
	@for os in linux darwin freebsd; do \
		echo "cross: $$os" && GOOS=$$os $(GO) build -o /dev/null ./... && GOOS=$$os $(GO) vet ./... || exit 1; \
	done

race: ## the packages, and of the program what has several goroutines; its scripts take too long
	@if command -v gcc >/dev/null || command -v clang >/dev/null; then export CGO_ENABLED=1; \
	$(GO) test -race -short $$($(GO) list ./... | grep -v -e /cmd/ -e /driver/all) && \
	$(GO) test -race -short -run 'TestReadAll|TestInterrupt|TestProgressOnATerminal|TestClosedPipe' ./cmd/mailutil && \
	$(GO) test -race -short -run 'TestFind|TestFirstMail|TestInbox' ./pkg/driver/all; \
	else echo "race: no C compiler, not run"; fi

test-peers: ## our client at Dovecot, mail clients at our endpoint; each where it is installed
	$(GO) test -count=1 -run 'TestPeer' ./pkg/serve

kills: ## the program killed at every system call that changes something, and at random; a quarter of an hour
	$(GO) test -run TestKilled -timeout 60m ./cmd/mailutil

kills-some: ## the same for four commands
	$(GO) test -run 'TestKilledAtEverySystemCall/^(copy_to_new_mbx|append_to_unix|move_to_mbx|prune_mbx)$$' -timeout 60m ./cmd/mailutil

bench: ## for benchstat; BENCH_MB=1000 for the large mailbox
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./pkg/ops -mb $(BENCH_MB)

bench-formats: ## copies from each format to each beside other programs, as a table; PAIRS='^mh to' for some
	$(GO) test -count 1 -timeout 120m -run '^TestPairs$$' -v ./pkg/ops -pairs '$(PAIRS)' -mb $(BENCH_MB)

bench-peers: ## list, search and cat beside other programs, as a table; BENCH_MB as above
	$(GO) test -count 1 -timeout 120m -run '^TestPeers$$' -v ./pkg/ops -peers -mb $(BENCH_MB)

fuzz: ## each fuzz target for FUZZTIME
	@grep -rHo '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' cmd pkg | while IFS=: read -r file func; do \
		target=$${func#func } && echo "$$target in $${file%/*}" && \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$${file%/*}" || exit 1; \
	done

mailsystems: ## sendmail, exim, OpenSMTPD and putmail, unpacked for the tests: Debian has one mail system installed at a time
	@get() { d='$(MAILSYSTEMS)'/$$1 && shift && mkdir -p "$$d" && cd "$$d" && apt-get download -qq "$$@" && \
		for p in *.deb; do dpkg-deb -x "$$p" . || exit 1; done && rm -- *.deb && \
		if [ -d lib ]; then cp -R lib usr && rm -r lib; fi; }; \
	(get sendmail sendmail-bin sendmail-base sendmail-cf m4) && \
	(get exim exim4-daemon-light exim4-base exim4-config) && \
	(get opensmtpd opensmtpd) && \
	(get mailutils mailutils-mda mailutils-common libmailutils9 libmu-dbm9 libkyotocabinet16v5 liblzo2-2 libgc1 guile-3.0-libs libmariadb3)

test-mailsystems: ## real mail systems, where they are installed or in MAILSYSTEMS, and 20 seconds of everything at once
	MAILSYSTEMS='$(MAILSYSTEMS)' SOAK=20s $(GO) test -count=1 -run 'TestSoak|TestMailSystem' -timeout 30m ./pkg/deliver

soak: ## deliveries, readers, prunes and kills at once, and a thousand messages by each mail system; SOAK=10m
	MAILSYSTEMS='$(MAILSYSTEMS)' SOAK=$(SOAK) $(GO) test -count=1 -run 'TestSoak|TestMailSystem' -timeout 120m -v ./pkg/deliver

bench-deliver: ## dmail beside the original, procmail, maildrop and others, on the disk of /var/tmp; BENCH_MB=1000 for a large INBOX
	MAILSYSTEMS='$(MAILSYSTEMS)' BENCH_MB='$(BENCH_MB)' $(GO) test -run '^$$' -bench . -benchtime 100x -timeout 60m ./pkg/deliver

install: build
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 $(PROGRAMS:%=bin/%) '$(DESTDIR)$(PREFIX)/bin'
	@for page in $(MANUALS); do \
		dir='$(DESTDIR)$(PREFIX)/share/man/man'$${page##*.} && install -d "$$dir" && install -m 644 "$$page" "$$dir" || exit 1; \
	done
	@echo 'No program has been given any privileges. Local delivery may need two:'
	@echo '  chown root:root $(PREFIX)/bin/tmail && chmod 4755 $(PREFIX)/bin/tmail'
	@echo '    so that a mail system that does not run as root can deliver to any user; see tmail(1)'
	@echo '  chgrp mail $(PREFIX)/bin/mlock && chmod 2755 $(PREFIX)/bin/mlock'
	@echo '    so that users can lock a mailbox in a spool directory they may not write to; see mlock(1)'

clean:
	rm -rf bin
