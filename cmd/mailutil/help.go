package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// examples are shown with each command. A test runs them.
var examples = map[string][]string{
	"check":        {"mailutil check", "mailutil check --deep INBOX ./old.mbox"},
	"create":       {"mailutil create work", "mailutil create '#driver.mbx/2026/inbox'"},
	"delete":       {"mailutil delete work", "mailutil --dry-run delete 2025/inbox"},
	"rename":       {"mailutil rename work done", "mailutil rename ./old.mbox ./older.mbox"},
	"copy":         {"mailutil copy ./old.mbox '#driver.mbx/old'", "zcat archive.gz | mailutil copy --where 'since 1-Feb-2024' - recent"},
	"move":         {"mailutil move INBOX '#driver.mbx/inbox-2026'", "mailutil move --where 'before 1-Feb-2024' work work-2023"},
	"append":       {"mailutil append ./old.mbox work", "mailutil append --verify --where unseen INBOX work"},
	"appenddelete": {"mailutil appenddelete INBOX work", "mailutil appenddelete --where 'from list' INBOX lists"},
	"prune":        {"mailutil prune work 'seen older 90d'", "mailutil --dry-run prune INBOX 'larger 10M seen'"},
	"transfer":     {"mailutil -v transfer 2025/ '#driver.mbx/new/'", "mailutil transfer --resume 2025/ old/", "mailutil transfer --from-dialect=thunderbird 2025/ '#driver.maildir/new/'"},
	"split":        {"mailutil split --by year INBOX old", "mailutil split --by 500M work '#driver.mbx/part'"},
	"convert":      {"mailutil convert --to mbx --recursive 2025", "printf 'kept\nwork\n' | mailutil convert --to unix --jobs 2 --report done.json --from-file -", "mailutil convert --to maildir --from-dialect=takeout ./old.mbox"},
	"dedup":        {"mailutil --dry-run dedup work kept", "mailutil dedup --to doubles work kept"},
	"list":         {"mailutil list INBOX unseen", "mailutil list --fields number,from,subject work 'since 1-Feb-2024'"},
	"cat":          {"mailutil cat work 2", "mailutil cat --eml letters INBOX 'from anna'"},
	"search":       {"mailutil search INBOX work 'subject köln'", "mailutil search -l ./*.mbox 'body \"nr. 4711\"'"},
	"repair":       {"mailutil repair ./old.mbox", "mailutil --dry-run repair INBOX work"},
	"lock":         {"mailutil lock status INBOX", "mailutil lock run work -- ls -l work"},
	"info":         {"mailutil info INBOX", "mailutil --json info work ./old.mbox"},
	"serve":        {"mailutil serve --stdio imap", "mailutil serve --stdio pop3 --trace ./old.mbox"},
}

// help explains a command, or the program.
func (c *cli) help(cmd *cobra.Command) {
	if !cmd.HasParent() {
		c.say(fullUsage(c.prog))
	} else {
		c.say(fmt.Sprintf("usage: %s %s\n\n%s\n", c.prog, syntaxOf(cmd.Name()), cmd.Short))
		if own := cmd.LocalNonPersistentFlags(); own.HasFlags() {
			c.say("Options:\n" + own.FlagUsages())
		}
		c.say("Examples:\n  " + strings.Join(examples[cmd.Name()], "\n  ") + "\n")
	}
	c.say("Options of all commands:\n" + cmd.Root().PersistentFlags().FlagUsages() + "\nThe manual page mailutil(1) has the rest.")
}
