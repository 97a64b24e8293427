// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"claviger/internal/dialect/admin"
)

// The exit codes.
const (
	exitOK       = 0
	exitFailure  = 1 // the command could not be done
	exitUsage    = 2 // the command was called wrongly, or its configuration is wrong
	exitNotFound = 3 // what the command asks for does not exist
)

// commands is the whole command line.
type commands struct {
	Version versionFlag `help:"Print the version and exit."`

	Dev   devCmd   `cmd:"" help:"Run a server for development: no set-up, everything in memory."`
	Init  initCmd  `cmd:"" help:"Create the database and the root key of a server, once."`
	Serve serveCmd `cmd:"" help:"Run a server."`

	Key         keyCmd         `cmd:"" help:"Show keys and key versions, with their names in each cloud."`
	Alias       aliasCmd       `cmd:"" help:"Show aliases."`
	Vault       vaultCmd       `cmd:"" help:"Show vaults and their URLs."`
	Tenant      tenantCmd      `cmd:"" help:"Manage tenants: an OCI tenancy and an Alibaba account in one."`
	Compartment compartmentCmd `cmd:"" help:"Manage the compartments of a tenant."`
	Principal   principalCmd   `cmd:"" help:"Manage principals: who calls, and in which role."`
	Credential  credentialCmd  `cmd:"" help:"Manage credentials: OCI API keys and Alibaba access keys."`
	Grant       grantCmd       `cmd:"" help:"Open keys to other tenants."`
	Audit       auditCmd       `cmd:"" help:"Show audited changes."`
	Backup      backupCmd      `cmd:"" help:"Back up and restore the whole store; look into backups of keys and vaults."`
	Bench       benchCmd       `cmd:"" help:"Put load on a server of either API and measure how it answers."`
	Clock       clockCmd       `cmd:"" help:"Show the clock; in dev also move it."`
	Events      eventsCmd      `cmd:"" help:"Show what is scheduled."`
	Root        rootCmd        `cmd:"" help:"Replace the root key."`
	Nodes       nodesCmd       `cmd:"" help:"Show the nodes that share the database."`
	Store       storeCmd       `cmd:"" help:"Work on a whole database."`
	Reset       resetCmd       `cmd:"" help:"Take a dev server back to its first state."`
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// terminal reports whether in is one that a person sits at.
func (s stdio) terminal() bool {
	f, ok := s.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// app is what every command runs in.
type app struct {
	ctx context.Context
	env map[string]string
	stdio

	fips    fipsState
	command string // such as "store verify"
}

// usageError says that a command was called wrongly.
type usageError struct{ error }

// exit leaves the parser, which has answered by itself: --help, --version.
type exit int

// run is the command with arguments args and environment env; it returns the exit code.
func run(ctx context.Context, args, env []string, std stdio) (code int) {
	a := &app{ctx: ctx, env: environment(env), stdio: std, fips: fipsOfProcess()}
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exit:
			code = int(v)
		default:
			panic(v)
		}
	}()
	parser, err := kong.New(&commands{},
		kong.Name("claviger"),
		kong.Description("A key management server: one store of keys, the key APIs of OCI and Alibaba Cloud in front of it."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Bind(a),
		commandVars(),
		kong.Resolvers(kong.ResolverFunc(a.fromEnvironment)),
		kong.ValueFormatter(withEnvironment),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true}),
		kong.UsageOnError(),
	)
	if err != nil {
		return a.report(fmt.Errorf("command line: %w", err))
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return a.report(usageError{err})
	}
	a.command, _, _ = strings.Cut(parsed.Command(), " <") // without its arguments
	return a.report(parsed.Run())
}

// report tells err to the person and gives the exit code that it stands for.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(a.err, "claviger:", err) // nobody to tell
	if _, ok := errors.AsType[usageError](err); ok {
		if _, ok := errors.AsType[*kong.ParseError](err); ok {
			_, _ = fmt.Fprintln(a.err, `Run "claviger --help", or "claviger COMMAND --help".`)
		}
		return exitUsage
	}
	if r, ok := errors.AsType[*admin.Refusal](err); ok && r.Status == http.StatusNotFound {
		return exitNotFound
	}
	return exitFailure
}

func environment(env []string) map[string]string {
	out := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		out[name] = value
	}
	return out
}

// envName is the twin of a flag in the environment; "" for flags that must be given by hand.
func envName(flag string) string {
	switch flag {
	case "help", "version", "yes", "existing-root":
		return ""
	}
	return "CLAVIGER_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (a *app) fromEnvironment(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if value, ok := a.env[envName(flag.Name)]; ok && value != "" {
		return value, nil
	}
	return nil, nil
}

// withEnvironment adds a flag's twin in the environment to its help.
func withEnvironment(v *kong.Value) string {
	if name := envName(v.Name); v.Flag != nil && name != "" {
		return v.Help + " ($" + name + ")"
	}
	return v.Help
}

// versionFlag prints what this binary is, and the mode that it runs in here.
type versionFlag bool

// BeforeReset answers --version before anything else of the command line is looked at.
func (versionFlag) BeforeReset(k *kong.Kong) error {
	is := fipsOfProcess()
	_, _ = fmt.Fprintf(k.Stdout, "claviger %s %s %s/%s, FIPS 140-3 module %s, mode %s\n",
		version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, is.module, is.mode)
	k.Exit(exitOK)
	return nil
}

// version is the module's version, or the commit that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// commandVars are what help texts name and the code decides.
func commandVars() kong.Vars { return kong.Vars{"operations": operationNames()} }
