package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
)

// isCompletion reports whether the arguments are of the shell's completion: the
// command that prints the script for a shell, or what such a script asks.
func isCompletion(args []string) bool {
	return len(args) > 0 && (args[0] == "completion" || args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// complete answers them.
func (c *cli) complete(ctx context.Context, root *cobra.Command, args []string) error {
	if args[0] != "completion" {
		c.opt.quiet = true // a warning would stand in the middle of the user's command line
		root.SetArgs(doubleDashes(args))
		return root.ExecuteContext(ctx)
	}
	if len(args) != 2 {
		return usageError("usage: " + c.prog + " completion bash | zsh | fish")
	}
	switch args[1] {
	case "bash":
		return root.GenBashCompletionV2(c.out, true)
	case "zsh":
		return root.GenZshCompletion(c.out)
	case "fish":
		return root.GenFishCompletion(c.out, true)
	}
	return usageError("unknown shell: " + args[1])
}

// doubleDashes writes the switches of the original as cobra takes them. The
// last word is still being typed.
func doubleDashes(args []string) []string {
	out := make([]string, 0, len(args))
	for i, word := range args {
		if i < len(args)-1 && strings.HasPrefix(word, "-") && word != "--" {
			if name, _, given := cutOption(word); name != "" && !given {
				word = "--" + name
			}
		}
		out = append(out, word)
	}
	return out
}

// maxEntries is how many files of a directory are looked at.
const maxEntries = 2000

// completeArgs offers mailboxes, and criteria where prune takes them.
func (c *cli) completeArgs(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) >= most:
			return nil, cobra.ShellCompDirectiveNoFileComp
		case cmd.Name() == "prune" && len(args) == 1:
			return completeCriteria(cmd, args, word)
		}
		return c.mailboxes(word), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
}

// mailboxes lists the names that begin with word: files that are mailboxes,
// directories, and formats.
func (c *cli) mailboxes(word string) []string {
	if strings.HasPrefix(word, "#") && !strings.Contains(word, "/") {
		return c.formats(word)
	}
	dir, base := word[:strings.LastIndexByte(word, '/')+1], word[strings.LastIndexByte(word, '/')+1:]
	var out []string
	if dir == "" && strings.HasPrefix("INBOX", strings.ToUpper(word)) {
		out = append(out, "INBOX")
	}
	at, err := c.session.Env.ResolveTarget(dir + "x")
	if err != nil || at.Path == "" {
		return out
	}
	f, err := os.Open(filepath.Dir(at.Path))
	if err != nil {
		return out
	}
	defer f.Close()
	entries, _ := f.ReadDir(maxEntries) // what can be read is offered
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || name[0] == '.' && base == "" || name == "INBOX" {
			continue
		}
		switch {
		case e.IsDir():
			out = append(out, dir+name+"/")
		case c.isMailbox(filepath.Join(filepath.Dir(at.Path), name)):
			out = append(out, dir+name)
		}
	}
	return out
}

// isMailbox reports whether a file is a mailbox of a format that is more than
// any file.
func (c *cli) isMailbox(path string) bool {
	d, err := c.session.Drivers.Find(mailbox.Name{Text: path, Path: path})
	return err == nil && d.Name() != "phile"
}

// formats lists those that can make mailboxes, as #driver.FORMAT/.
func (c *cli) formats(word string) []string {
	var out []string
	for _, d := range c.session.Drivers {
		if _, ok := d.(mailbox.Creator); ok {
			if name := "#driver." + d.Name() + "/"; strings.HasPrefix(name, word) {
				out = append(out, name)
			}
		}
	}
	return out
}

// criteriaWords are those that package search knows.
var criteriaWords = strings.Fields(`all answered bcc before body cc deleted draft flagged from header keyword
	larger new not old older on or recent seen sentbefore senton sentsince since smaller subject text to uid
	unanswered undeleted undraft unflagged unkeyword unseen younger`)

// completeCriteria offers the words that the last word of criteria may become.
func completeCriteria(_ *cobra.Command, _ []string, criteria string) ([]cobra.Completion, cobra.ShellCompDirective) {
	start := strings.LastIndexAny(criteria, " (") + 1
	var out []string
	for _, word := range criteriaWords {
		if strings.HasPrefix(word, strings.ToLower(criteria[start:])) {
			out = append(out, criteria[:start]+word)
		}
	}
	return out, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
