package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailutil/pkg/mailbox"
)

// root returns the tree of commands.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "mailutil",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: c.start,
	}
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { c.help(cmd) })
	root.SetFlagErrorFunc(c.flagError)
	f := root.PersistentFlags()
	f.SortFlags = false
	f.BoolVarP(&c.opt.debug, "debug", "d", false, "show what is said to servers, without passwords")
	f.BoolVarP(&c.opt.verbose, "verbose", "v", false, "say what is done")
	f.StringVarP(&c.opt.user, "user", "u", "", "work as this `user`; for root only")
	f.StringVar(&c.opt.config, "config", mailbox.ConfigFile, "read the configuration from this `file`")
	f.DurationVar(&c.opt.lockTimeout, "lock-timeout", 0, "wait so long for locks: a `duration` such as 30s; 0 does not wait (default 5m)")
	f.StringVar(&c.opt.dialect, "mbox-dialect", "", "read mbox files and write new ones in this `dialect`: o, rd, cl, cl2, or auto")
	f.BoolVar(&c.opt.quiet, "quiet", false, "no warnings, and no account of a copy")
	f.BoolVar(&c.opt.json, "json", c.opt.json, "print JSON, one object a line: see mailutil-json(5)")
	f.BoolVar(&c.opt.dryRun, "dry-run", false, "say what would be done, and write nothing")
	f.BoolVar(&c.opt.noProgress, "no-progress", false, "do not show on a terminal how far long work is")
	c.opt.remote.add(f)
	f.BoolVar(&c.opt.restrict, "restrict", false, "refuse names outside the home directory")
	f.BoolP("help", "h", false, "explain a command, or the program")
	f.Bool("version", false, "print the version")
	root.AddCommand(
		c.checkCommand(), c.createCommand(), c.deleteCommand(), c.renameCommand(),
		c.copyCommand("copy"), c.copyCommand("move"), c.copyCommand("append"), c.copyCommand("appenddelete"),
		c.pruneCommand(), c.transferCommand(), c.splitCommand(), c.convertCommand(), c.dedupCommand(),
		c.listCommand(), c.catCommand(), c.searchCommand(), c.infoCommand(), c.lockCommand(), c.repairCommand(),
		c.serveCommand(),
	)
	return root
}

// execute runs the command of the line. An unknown one never gets to cobra,
// which has commands of its own.
func (c *cli) execute(ctx context.Context, root *cobra.Command, line commandLine) error {
	known := syntaxOf(line.command) != ""
	switch {
	case slices.Contains(line.options, "--version"):
		c.say(versionLine(c.prog))
		return nil
	case !known && slices.Contains(line.options, "--help"):
		c.help(root)
		return nil
	case !known:
		return usageError(fullUsage(c.prog))
	}
	defer func() {
		for _, end := range c.atEnd {
			end() // a server that does not take leave has done what it was asked to
		}
	}()
	return root.ExecuteContext(ctx)
}

// command returns a command that takes least to most arguments.
func (c *cli) command(name, short string, least, most int, run func(ctx context.Context, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < least || len(args) > most {
				return usageError(usageOf(c.prog, name))
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args) },
		ValidArgsFunction: c.completeArgs(most),
	}
}

// flagError is called for an option that the command does not have, and for a
// value that an option cannot have.
func (c *cli) flagError(cmd *cobra.Command, err error) error {
	if errors.As(err, new(*pflag.NotExistError)) {
		return usageError(usageOf(c.prog, cmd.Name()))
	}
	return usageError(err.Error())
}

// allFlags returns the options of all commands.
func allFlags(root *cobra.Command) *pflag.FlagSet {
	all := pflag.NewFlagSet("all", pflag.ContinueOnError)
	all.AddFlagSet(root.PersistentFlags())
	for _, cmd := range root.Commands() {
		all.AddFlagSet(cmd.LocalFlags())
	}
	return all
}
